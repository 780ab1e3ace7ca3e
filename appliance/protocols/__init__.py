"""Hosts of the wire protocols: pure codecs, a small session class each, no policy."""
