"""The server of one ideal queue, first come first served; see `sim.analysis.ideal`."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapreplace


def serve(
    free: list[float], arrival: Iterable[float], io: Iterable[float], cpu: Iterable[float]
) -> tuple[list[float], list[float]]:
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
    waits: list[float] = []
    latencies: list[float] = []
    wait, latency = waits.append, latencies.append
    for arrived, waiting, computing in zip(arrival, io, cpu, strict=True):
        start = free[0]
        if arrived > start:  # noqa: PLR1730 - the call would cost more
            start = arrived
        end = start + waiting + computing
        heapreplace(free, end)
        wait(start - arrived)
        latency(end - arrived)
    return waits, latencies
