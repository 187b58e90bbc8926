"""Predicts how Gunicorn queues and recovers: a SimPy model and what is read from it."""
