"""`bisect` on a list of integers.

As in `sim.model.engine.heap`: interpreted, Python's own is fastest; compiled, this is faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.model.engine.heap import COMPILED

if TYPE_CHECKING:
    from mypy_extensions import i64


def bisect(keys: list[int], key: int) -> int:
    """`bisect.bisect`."""
    low: i64 = 0
    high: i64 = len(keys)
    wanted: i64 = key
    while low < high:
        middle = (low + high) >> 1
        its: i64 = keys[middle]
        if wanted < its:
            high = middle
        else:
            low = middle + 1
    return low


if not COMPILED:
    from bisect import bisect  # type: ignore[assignment]  # noqa: F401
