"""One ideal shared queue, first come first served, for the same requests.

It is the picture behind "2 workers x 2 threads = 4 concurrent requests"::

    arrivals ──► one queue, first come first served ──► the server that is free first

It has no process boundary, no costs, no limit of the queue and no lost connections. The difference
between it and a run is the effect of everything that it leaves out.
"""

from __future__ import annotations

from array import array
from itertools import islice
from operator import le
from typing import NamedTuple

from sim.run import Requests
from sim.run.ideal_queue import serve


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
    columns = requests.arrival, requests.io, requests.cpu
    free = [float("-inf")] * servers
    arrival = requests.arrival
    if all(map(le, arrival, islice(arrival, 1, None))):
        waits, latencies = serve(free, *columns)
        return Ideal(array("d", waits), array("d", latencies))
    # A rig that wrote a closed loop's rows as they ended.
    order = sorted(range(len(arrival)), key=arrival.__getitem__)
    waits, latencies = serve(free, *([column[row] for row in order] for column in columns))
    wait, latency = array("d", waits), array("d", latencies)
    for row, waited, took in zip(order, waits, latencies, strict=True):
        wait[row], latency[row] = waited, took
    return Ideal(wait, latency)
