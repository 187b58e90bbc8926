"""What the processor's caches change: how fast a step runs after what ran before it."""

from sim.compiled import prefer

prefer(__name__, __path__)
