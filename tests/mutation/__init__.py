"""Mutation testing of the model and of what reads its runs: ``python -m tests.mutation``."""
