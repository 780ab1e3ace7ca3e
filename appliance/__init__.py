"""Pitbox: the daemon (both processes) and the command line."""
