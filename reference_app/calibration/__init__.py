"""Measures what the model needs to know of a machine and an application; see `calibrate`."""
