"""Every input format; each refuses what it cannot use, with the place and what was expected."""
