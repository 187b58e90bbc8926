"""Numbers of the model that were fitted: a module for each subject."""

from sim.compiled import prefer

prefer(__name__, __path__)
