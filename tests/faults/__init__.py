"""The fault campaign: kill, cut and disturb the real engine's operations, and prove every outcome."""
