"""The gates before the first erase, a class each: all of them are shown, and unknown is not a pass."""
