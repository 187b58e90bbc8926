"""A package, so that ``python -m tests.swarm`` finds this one, and no other that is installed."""
