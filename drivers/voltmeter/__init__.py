"""The voltmeter on OBD pin 16 (or the bench supply's output)."""
