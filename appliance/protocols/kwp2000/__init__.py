"""KWP2000 host on a K-line (ISO 14230-2, 14230-3): codecs, link, wake-up and request policy."""
