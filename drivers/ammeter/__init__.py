"""Measures the current that a bench supply gives."""
