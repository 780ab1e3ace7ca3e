"""The car's Ethernet (ISO 13400-3)."""
