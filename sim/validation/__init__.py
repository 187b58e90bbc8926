"""How far prediction and measurement are apart: grid, rows, comparison, verdict."""
