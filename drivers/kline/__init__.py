"""The K-line (ISO 9141, ISO 14230-1)."""
