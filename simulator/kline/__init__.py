"""The K-line: a wire with its levels and exact byte times, and what hangs on it."""
