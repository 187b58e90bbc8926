"""Measures the cells of the validation's grid, one after the other."""
