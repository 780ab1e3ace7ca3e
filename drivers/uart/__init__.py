"""A serial line to a boot loader."""
