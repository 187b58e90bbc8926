"""One ideal shared queue, first come first served, for the same requests.

It is the picture behind "2 workers x 2 threads = 4 concurrent requests"::

    arrivals ──► one queue, first come first served ──► the server that is free first

It has no process boundary, no costs, no limit of the queue and no lost connections. The difference
between it and a run is the effect of everything that it leaves out.
"""

from __future__ import annotations

from array import array
from heapq import heapreplace
from operator import gt
from typing import NamedTuple

from sim.run import Requests


class Ideal(NamedTuple):
    """The ideal queue's answer, row by row of the `Requests` that it was given.

    Attributes:
        wait: from arrival to the start of service, s.
        latency: from arrival to the end of service, s.
    """

    wait: array[float]
    latency: array[float]


def ideal(requests: Requests, servers: int) -> Ideal:
    """Serve the arrivals and demands (``io`` + ``cpu``) of ``requests`` from one FIFO queue.

    Every request is served, also one that the run refused or lost. Of a closed loop the arrivals
    are taken as they happened: its users would have sent more to a quicker server, so there the
    ideal shows what the same requests would have waited, not what the users would have seen.

    Args:
        requests: the rows; only ``arrival``, ``io`` and ``cpu`` are read.
        servers: requests that run at once, from 1: workers x threads.

    Raises:
        ValueError: when ``servers`` is below 1.
    """
    if servers < 1:
        raise ValueError(f"servers is {servers}; expected a whole number >= 1")
    arrival, io, cpu = requests.arrival, requests.io, requests.cpu
    # When each server is next free: the heap's root is the server that the head of the queue gets.
    free = [float("-inf")] * servers
    # Rows are in order of arrival; sorting an ordered list is one pass, and guards the queue's
    # discipline against a rig that wrote a closed loop's rows as they ended.
    order = sorted(range(len(arrival)), key=arrival.__getitem__)
    waits: list[float] = []
    latencies: list[float] = []
    for row in order:
        arrived = arrival[row]
        start = free[0] if free[0] > arrived else arrived
        end = start + io[row] + cpu[row]
        heapreplace(free, end)
        waits.append(start - arrived)
        latencies.append(end - arrived)
    wait, latency = array("d", waits), array("d", latencies)
    if any(map(gt, order, order[1:])):
        for row, waited, took in zip(order, waits, latencies, strict=True):
            wait[row], latency[row] = waited, took
    return Ideal(wait, latency)
