"""`bisect` on the list of sleeping pollers, by their keys alone.

As in `sim.model.heap`: interpreted nothing is faster than Python's own, and compiled this is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.model.heap import COMPILED

if TYPE_CHECKING:
    from sim.model.kernel import Poller


def bisect(entries: list[tuple[int, Poller]], entry: tuple[int, Poller]) -> int:
    """`bisect.bisect`."""
    low, high, key = 0, len(entries), entry[0]
    while low < high:
        middle = (low + high) >> 1
        if key < entries[middle][0]:
            high = middle
        else:
            low = middle + 1
    return low


def insort(entries: list[tuple[int, Poller]], entry: tuple[int, Poller]) -> None:
    """`bisect.insort`."""
    entries.insert(bisect(entries, entry), entry)


if not COMPILED:
    from bisect import bisect, insort  # type: ignore[assignment]  # noqa: F401
