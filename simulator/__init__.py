"""The other end of the wire: a simulated bus with real bit times, simulated ECUs, and faults on demand."""
