"""The heart: read, plan, gate, write, verify and recover any ECU through one access interface."""
