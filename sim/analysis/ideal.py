"""One ideal shared queue, first come first served, for the same requests.

It is the picture behind "2 workers x 2 threads = 4 concurrent requests"::

    arrivals ──► one queue, first come first served ──► the server that is free first

It has no process boundary, no costs, no limit of the queue and no lost connections. The difference
between it and a run is the effect of everything that it leaves out.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from sim.run import Requests
from sim.run.column import float_array, floats, zeros
from sim.run.ideal_queue import serve

if TYPE_CHECKING:
    from librt.vecs import vec
    from mypy_extensions import i64


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
    are taken as they happened. Its users would have sent more to a quicker server. So there the
    ideal queue shows what the same requests would have waited, not what the users would have seen.

    Args:
        requests: the rows; only ``arrival``, ``io`` and ``cpu`` are read.
        servers: requests that run at once, from 1: workers x threads.

    Raises:
        ValueError: when ``servers`` is below 1.
    """
    waits, latencies = served(
        floats(requests.arrival), floats(requests.io), floats(requests.cpu), servers
    )
    return Ideal(float_array(waits), float_array(latencies))


def served(
    arrival: vec[float], io: vec[float], cpu: vec[float], servers: int
) -> tuple[vec[float], vec[float]]:
    """The columns of `ideal`, from those of the requests.

    Raises:
        ValueError: when ``servers`` is below 1.
    """
    if servers < 1:
        raise ValueError(f"servers is {servers}; expected a whole number >= 1")
    free = [float("-inf")] * servers
    if _in_order(arrival):
        return serve(free, arrival, io, cpu)
    # A rig that wrote a closed loop's rows as they ended.
    order = sorted(range(len(arrival)), key=lambda row: arrival[row])
    waits, latencies = serve(free, _picked(arrival, order), _picked(io, order), _picked(cpu, order))
    wait, latency = zeros(len(order)), zeros(len(order))
    for place, row in enumerate(order):
        wait[row] = waits[place]
        latency[row] = latencies[place]
    return wait, latency


def _picked(column: vec[float], order: list[int]) -> vec[float]:
    """The values of these rows, in this order."""
    picked = zeros(len(order))
    for place, row in enumerate(order):
        picked[place] = column[row]
    return picked


def _in_order(arrival: vec[float]) -> bool:
    """Whether no request arrives before the one in the row before it."""
    row: i64 = 1
    number = len(arrival)
    while row < number:
        if arrival[row] < arrival[row - 1]:
            return False
        row += 1
    return True
