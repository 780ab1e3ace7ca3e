"""Mutation testing of the rooms whose faults cost an ECU."""
