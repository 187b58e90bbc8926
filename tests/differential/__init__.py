"""The model against real Gunicorn on experiments that nobody has chosen."""
