"""The rig: starts real Gunicorn, sends it requests, and notes what became of them."""
