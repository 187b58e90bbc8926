"""What a summary needs of requests that are not kept: counts, sums and sketches."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from heapq import heapreplace

from sim.run.occupation import occupied_until
from sim.run.requests import OK, OUTCOMES, Requests
from sim.run.sketch import QuantileSketch


class Tally:
    """The requests of one run, each looked at when it comes and when its outcome is known.

    State:
        outcomes: number of requests by code.
        latency, wait: of requests that were answered ``ok``, as in `sim.analysis.summary.Summary`.
        ideal_latency, ideal_wait: of all, in one ideal queue; see `sim.analysis.ideal`.
        first: the first arrival, s; infinity before it.
        last_arrival: the last, s.
        last: the last known outcome or arrival, s.
        io, cpu: sums of the demands, s.
        worker_requests: by boot order.
        worker_busy: time that each worker's threads ran requests, s.
    """

    def __init__(self, servers: int) -> None:
        self.outcomes = [0] * len(OUTCOMES)
        self.latency = QuantileSketch()
        self.wait = QuantileSketch()
        self.ideal_latency = QuantileSketch()
        self.ideal_wait = QuantileSketch()
        self.first = math.inf
        self.last_arrival = 0.0
        self.last = 0.0
        self.io = 0.0
        self.cpu = 0.0
        self.worker_requests: Counter[int] = Counter()
        self.worker_busy: dict[int, float] = {}
        self._free = [-math.inf] * servers

    def came(self, arrival: float, io: float, cpu: float) -> None:
        """A request arrives, not before those that came before."""
        self.first = min(self.first, arrival)
        self.last = max(self.last, arrival)
        self.last_arrival = arrival
        self.io += io
        self.cpu += cpu
        start = max(self._free[0], arrival)
        end = start + io + cpu
        heapreplace(self._free, end)
        self.ideal_wait.add(start - arrival)
        self.ideal_latency.add(end - arrival)

    def ended(self, requests: Requests, row: int) -> None:
        """The outcome of a row is known."""
        self.last = max(self.last, requests.finished[row])
        self._count(requests, row)

    def close(self, requests: Requests, rows: Iterable[int]) -> None:
        """The run is over, and these ``rows`` have no outcome."""
        for row in rows:
            self._count(requests, row)

    def _count(self, requests: Requests, row: int) -> None:
        arrival, started, finished = (
            requests.arrival[row],
            requests.started[row],
            requests.finished[row],
        )
        outcome, worker = requests.outcome[row], requests.worker[row]
        self.outcomes[outcome] += 1
        if outcome == OK:
            self.latency.add(finished - arrival)
            self.wait.add(started - arrival)
        if worker:
            self.worker_requests[worker] += 1
            if not math.isnan(started):
                demand = requests.io[row] + requests.cpu[row]
                until = occupied_until(started, finished, outcome, demand, self.last)
                self.worker_busy[worker] = self.worker_busy.get(worker, 0.0) + until - started
