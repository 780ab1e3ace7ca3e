"""CAN and CAN FD buses: the interface, the python-can driver, and what a frame costs on the wire.

The simulated twin is `simulator.bus.SimPort`: it needs the other nodes to be a bus, so it lives with them.
"""
