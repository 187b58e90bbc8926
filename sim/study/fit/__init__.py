"""``python -m sim fit``: distributions of a service's demand, from requests that it has served."""
