"""The clock and its heap: SimPy's processes, and faster calls beside them."""

from sim.compiled import prefer

prefer(__name__, __path__)
