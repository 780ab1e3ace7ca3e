"""The command line `pitbox`: a client of the engine like any other. It knows the contract alone."""
