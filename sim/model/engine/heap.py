"""The queue of what is to happen: a heap of entries.

Interpreted, `heapq` with tuples is fastest. Compiled, a heap of objects with unboxed fields is
faster than `heapq`. Its entries are no tuples, because mypyc would take those apart and box them
wherever they go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, final

from sim.model.engine.attributes import mypyc_attr

if TYPE_CHECKING:
    from mypy_extensions import i64

#: Whether this code is compiled. `sim.compiled.build` tells mypyc that it is.
COMPILED: Final = not __file__.endswith((".py", ".pyc"))


#: What is to happen: time, number, function, argument. What is due at the same time happens in the
#: order of the numbers.
Due = tuple[float, int, Callable[[Any], None], Any]


@final
@mypyc_attr(free_list_len=1)  # one is freed where the next is made, nearly always
class Entry:
    """What is to happen, in the queue. Interpreted, an entry is a `Due` instead."""

    __slots__ = ("argument", "function", "number", "time")

    def __init__(
        self, time: float, number: i64, function: Callable[[Any], None], argument: object
    ) -> None:
        self.time = time
        self.number = number
        self.function = function
        self.argument = argument

    def __getitem__(self, at: int) -> float:
        """When it is due: the only field that is read in the queue, as ``entry[0]``."""
        return self.time


def push(entries: list[Entry], due: Due) -> None:
    """`heapq.heappush`."""
    entry = Entry(due[0], due[1], due[2], due[3])
    place: i64 = len(entries)
    entries.append(entry)
    _rise(entries, entry, place)


def pop(entries: list[Entry]) -> Due:
    """`heapq.heappop`, of a heap that is not empty."""
    first = last = entries.pop()
    size: i64 = len(entries)
    if size > 0:
        first = entries[0]
        # The smaller child moves up, level by level. The last entry then rises from the gap at the
        # bottom, mostly not far: it was at the bottom before.
        place: i64 = 0
        child: i64 = 1
        while child < size:
            smaller = entries[child]
            if child + 1 < size:
                right = entries[child + 1]
                if right.time < smaller.time or (
                    right.time == smaller.time and right.number < smaller.number
                ):
                    smaller = right
                    child += 1
            entries[place] = smaller
            place = child
            child = 2 * child + 1
        _rise(entries, last, place)
    return first.time, first.number, first.function, first.argument


def _rise(entries: list[Entry], entry: Entry, place: i64) -> None:
    """Put ``entry`` into its place on the way from ``place``, which is free, to the top."""
    time, number = entry.time, entry.number
    while place > 0:
        above = (place - 1) >> 1
        parent = entries[above]
        if parent.time < time or (parent.time == time and parent.number < number):
            break
        entries[place] = parent
        place = above
    entries[place] = entry


if not COMPILED:
    from heapq import heappop as pop  # type: ignore[assignment]  # noqa: F401
    from heapq import heappush as push  # type: ignore[assignment]  # noqa: F401
