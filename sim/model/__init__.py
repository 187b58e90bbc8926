"""The SimPy model, one file for each real thing."""
