"""What is read from runs: summaries, recovery, queueing theory and the ideal queue."""

from sim.compiled import prefer

prefer(__name__, __path__)
