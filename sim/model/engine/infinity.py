"""Infinity, as a constant: compiled code looks up `math.inf` by its name, each time."""

from __future__ import annotations

from typing import Final

#: `math.inf`.
inf: Final = float("inf")
