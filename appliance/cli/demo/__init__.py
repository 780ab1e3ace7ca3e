"""The whole job on a simulated car, with a power cut in the middle, narrated."""
