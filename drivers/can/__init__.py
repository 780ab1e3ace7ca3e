"""CAN and CAN FD buses: interface, python-can driver, simulated twin."""
