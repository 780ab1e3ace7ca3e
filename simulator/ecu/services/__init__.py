"""The diagnostic services of a simulated ECU, one file per group of ISO 14229-1."""
