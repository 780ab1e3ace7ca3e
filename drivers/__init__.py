"""Hardware, nothing else: a folder per device with its interface, its real drivers and its simulated twin."""
