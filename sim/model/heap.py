"""The queue of what is to happen: a heap of entries.

In Python nothing is faster than `heapq`. Compiled, this is: it compares two floats, where `heapq`
asks two tuples that ask two floats.
"""

from __future__ import annotations

from typing import Any

#: Whether this is. ``hatch_build.py`` tells mypyc that it is true, and it leaves out what is not.
COMPILED = not __file__.endswith((".py", ".pyc"))

#: What is to happen: ``(time, number, function, argument)``. Numbers keep what is due at the same
#: time in the order in which it was scheduled. Not a tuple of four types, which mypyc would take to
#: pieces to put it into a variable, and make anew to put it into the queue.
Entry = tuple[Any, ...]


def push(entries: list[Entry], entry: Entry) -> None:
    """`heapq.heappush`."""
    place = len(entries)
    entries.append(entry)
    time: float = entry[0]
    while place > 0:
        above = (place - 1) >> 1
        parent = entries[above]
        its: float = parent[0]
        if its < time or (its == time and _number(parent) < _number(entry)):
            break
        entries[place] = parent
        place = above
    entries[place] = entry


def pop(entries: list[Entry]) -> Entry:
    """`heapq.heappop`, of a heap that is not empty."""
    last = entries.pop()
    size = len(entries)
    if size == 0:
        return last
    first = entries[0]
    # The smaller child moves up, down to the end; then the last entry finds its place from
    # there, which is mostly near: it was at an end before.
    place, child = 0, 1
    while child + 1 < size:
        left, right = entries[child], entries[child + 1]
        its: float = left[0]
        other: float = right[0]
        if other < its or (other == its and _number(right) < _number(left)):
            left = right
            child += 1
        entries[place] = left
        place, child = child, 2 * child + 1
    if child < size:
        entries[place] = entries[child]
        place = child
    time: float = last[0]
    while place > 0:
        above = (place - 1) >> 1
        parent = entries[above]
        its = parent[0]
        if its < time or (its == time and _number(parent) < _number(last)):
            break
        entries[place] = parent
        place = above
    entries[place] = last
    return first


def _number(entry: Entry) -> int:
    number: int = entry[1]
    return number


if not COMPILED:
    from heapq import heappop as pop  # type: ignore[assignment]  # noqa: F401
    from heapq import heappush as push  # type: ignore[assignment]  # noqa: F401
