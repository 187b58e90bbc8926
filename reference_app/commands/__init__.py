"""The command lines; the one place where predictions and measurements meet."""
