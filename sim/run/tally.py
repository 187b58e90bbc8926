"""What a summary needs of requests that are not kept: counts, sums and sketches."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from sim.run.ideal_queue import serve
from sim.run.occupation import occupied_until
from sim.run.requests import OK, OUTCOMES, Requests
from sim.run.sketch import QuantileSketch, added


class Tally:
    """The requests of one run, looked at by the block when they come and when they have ended.

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

    def came(self, arrival: Sequence[float], io: Sequence[float], cpu: Sequence[float]) -> None:
        """Requests arrive, in order and not before those that came before; at least one."""
        self.first = min(self.first, arrival[0])
        self.last_arrival = arrival[-1]
        self.last = max(self.last, self.last_arrival)
        self.io = added(self.io, io)
        self.cpu = added(self.cpu, cpu)
        waits, latencies = serve(self._free, arrival, io, cpu)
        self.ideal_wait.add(waits)
        self.ideal_latency.add(latencies)

    def ended(self, requests: Requests, rows: Sequence[int]) -> None:
        """The outcome of these ``rows`` is known, in this order."""
        finished = requests.finished
        self.last = max(self.last, *(finished[row] for row in rows))
        self._count(requests, rows)

    def close(self, requests: Requests, rows: Sequence[int]) -> None:
        """The run is over, and these ``rows`` have no outcome."""
        self._count(requests, rows)

    def _count(self, requests: Requests, rows: Sequence[int]) -> None:
        arrival, started, finished = requests.arrival, requests.started, requests.finished
        outcomes, workers, io, cpu = requests.outcome, requests.worker, requests.io, requests.cpu
        ok = [row for row in rows if outcomes[row] == OK]
        self.latency.add([finished[row] - arrival[row] for row in ok])
        self.wait.add([started[row] - arrival[row] for row in ok])
        for outcome, number in Counter([outcomes[row] for row in rows]).items():
            self.outcomes[outcome] += number
        busy, requests_of, isnan = self.worker_busy, self.worker_requests, math.isnan
        for row in rows:
            if worker := workers[row]:
                requests_of[worker] += 1
                start, end = started[row], finished[row]
                if not isnan(start):
                    # As `occupied_until` says of nearly all requests, without the call.
                    if outcomes[row] != OK or end < start:
                        demand = io[row] + cpu[row]
                        end = occupied_until(start, end, outcomes[row], demand, self.last)
                    busy[worker] = busy.get(worker, 0.0) + end - start
