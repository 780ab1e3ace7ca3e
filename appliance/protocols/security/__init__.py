"""Seed and key: the public SA2 machine, toys for simulated ECUs, and owner-supplied plugins."""
