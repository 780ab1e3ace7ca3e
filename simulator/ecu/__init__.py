"""Strict simulated ECUs, written from the standard's facts and independent of the host's code."""
