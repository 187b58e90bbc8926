"""What the interpreter does: the GIL."""

from sim.compiled import prefer

prefer(__name__, __path__)
