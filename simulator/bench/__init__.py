"""The bench: supply, pins and wires between a box and a simulated controller, and what goes wrong there."""
