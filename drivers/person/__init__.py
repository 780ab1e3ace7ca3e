"""The person at the box: asked like any other port."""
