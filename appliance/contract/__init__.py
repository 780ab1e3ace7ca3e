"""What crosses a boundary: errors, job states, events and reports. No logic, no I/O."""
