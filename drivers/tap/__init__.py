"""A test access port (IEEE 1149.1)."""
