"""A hostile ECU on a K-line, written from ISO 14230 beside the simulator and not with it."""
