"""Commands that are ended at random moments: ``python -m tests.kills``."""
