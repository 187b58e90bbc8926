"""What Gunicorn does, one file for each of its own, under its names."""

from sim.compiled import prefer

prefer(__name__, __path__)
