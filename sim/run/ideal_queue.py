"""The server of one ideal queue, first come first served; see `sim.analysis.ideal`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.run.column import COMPILED, zeros

if TYPE_CHECKING:
    from librt.vecs import vec
    from mypy_extensions import i64


def serve(
    free: list[float], arrival: vec[float], io: vec[float], cpu: vec[float]
) -> tuple[vec[float], vec[float]]:
    """Serve requests in order of arrival.

    Args:
        free: when each server is next free, s; a heap, which is changed. Its root is the server
            that the head of the queue gets.
        arrival: of each request, s, in order.
        io: s that each request waits.
        cpu: s that each request computes.

    Returns:
        Of each request, from its arrival: when its service begins, and when it ends, s.
    """
    number = len(arrival)
    waits, latencies = zeros(number), zeros(number)
    row: i64 = 0
    while row < number:
        arrived = arrival[row]
        start = free[0]
        if arrived > start:  # noqa: PLR1730 - the call would cost more
            start = arrived
        end = start + io[row] + cpu[row]
        heapreplace(free, end)
        waits[row] = start - arrived
        latencies[row] = end - arrived
        row += 1
    return waits, latencies


def heapreplace(heap: list[float], item: float) -> float:
    """`heapq.heapreplace`."""
    first = heap[0]
    size: i64 = len(heap)
    place: i64 = 0
    child: i64 = 1
    while child < size:
        smaller = heap[child]
        if child + 1 < size and heap[child + 1] < smaller:
            child += 1
            smaller = heap[child]
        if smaller >= item:
            break
        heap[place] = smaller
        place = child
        child = 2 * child + 1
    heap[place] = item
    return first


if not COMPILED:
    from heapq import heapreplace  # type: ignore[assignment]
