"""Process 1: drivers, flashing and vault behind a UNIX socket. It never opens a network socket."""
