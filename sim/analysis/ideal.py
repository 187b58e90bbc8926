"""What one ideal shared queue would have made of the same requests.

It is the picture that people have of "2 workers x 2 threads = 4 concurrent requests"::

    arrivals ──► one queue, first come first served ──► whichever of the servers is free first

No process boundary, no cost, no limit of the queue, no lost connection: the distance between
this and a run is the price of everything that the picture leaves out.
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
        came = arrival[row]
        start = free[0] if free[0] > came else came
        end = start + io[row] + cpu[row]
        heapreplace(free, end)
        waits.append(start - came)
        latencies.append(end - came)
    wait, latency = array("d", waits), array("d", latencies)
    if any(map(gt, order, order[1:])):
        for row, waited, took in zip(order, waits, latencies, strict=True):
            wait[row], latency[row] = waited, took
    return Ideal(wait, latency)
