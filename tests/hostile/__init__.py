"""A hostile ECU, written from the standards beside the simulator and not with it."""
