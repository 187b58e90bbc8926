"""Measures the cells of the validation's grids, one after the other."""
