"""The SimPy model, one file for each real thing."""

from sim.compiled import prefer

prefer(__path__)
