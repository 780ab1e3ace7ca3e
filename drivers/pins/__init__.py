"""Lines of the box that strap and reset a controller."""
