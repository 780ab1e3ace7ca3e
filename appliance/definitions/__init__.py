"""ECU definitions as data: what an ECU is, how to reach, read, write, check and recover it."""
