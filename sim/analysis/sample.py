"""One replication as a summary needs it: a run's worth of columns made small. Times are in s."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import compress
from operator import sub
from typing import Any, NamedTuple

from sim.analysis.ideal import ideal
from sim.analysis.kubelet import Kubelet, kubelet_of
from sim.analysis.quantile import known, quantile
from sim.analysis.recovery import Toll, toll
from sim.experiment.worker_class import slots
from sim.run import OK, OUTCOMES, CpuStat, QueueLength, Requests, Run
from sim.run.occupation import occupied_until
from sim.run.requests import NO_ROUTE
from sim.run.sketch import QuantileSketch
from sim.run.tally import Tally


class Six(NamedTuple):
    """The numbers of `Times` in one replication, s."""

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float


class RouteSample(NamedTuple):
    """The requests of one route in one replication, as in `Sample`; ``lost`` were not ``ok``."""

    name: str
    requests: int
    lost: int
    latency: Six | None
    wait: Six | None


class Sample(NamedTuple):
    """What a summary needs of one replication: a run's worth of columns made small.

    ``span`` is from the first arrival to the last known outcome or arrival, ``arrival_span`` to
    the last arrival; ``io`` and ``cpu`` are the sums of the demands. All in s.
    """

    outcomes: tuple[int, ...]
    latency: Six | None
    wait: Six | None
    ideal_latency: Six | None
    ideal_wait: Six | None
    throughput: float | None
    span: float
    arrival_span: float
    io: float
    cpu: float
    worker_requests: Counter[int]
    worker_busy: dict[int, float]
    queues: tuple[QueueLength, ...]
    toll: Toll
    kubelet: Kubelet | None = None
    routes: tuple[RouteSample, ...] = ()
    cpu_stat: CpuStat | None = None


def sample_of(run: Run) -> Sample:
    """What the run says of itself alone."""
    if run.tally is not None:
        return _tallied(run, run.tally)
    requests = run.requests
    arrival, finished = requests.arrival, requests.finished
    first = min(arrival, default=0.0)
    # Requests that are never answered still come, and take their time doing so.
    last = max(known(finished), default=first)
    last = max(last, max(arrival, default=first))
    counts = tuple(requests.outcome.count(code) for code in range(len(OUTCOMES)))
    answered = _answered(requests)
    span = last - first
    perfect = ideal(requests, threads_of(run.experiment))
    worker_requests = Counter(requests.worker)
    del worker_requests[0]  # 0 is no worker
    return Sample(
        outcomes=counts,
        latency=_six(_differences(answered.finished, answered.arrival)),
        wait=_six(_differences(answered.started, answered.arrival)),
        ideal_latency=_six(sorted(perfect.latency)),
        ideal_wait=_six(sorted(perfect.wait)),
        throughput=counts[OK] / span if span > 0 else None if counts[OK] else 0.0,
        span=span,
        arrival_span=max(arrival, default=0.0) - first,
        io=math.fsum(requests.io),
        cpu=math.fsum(requests.cpu),
        worker_requests=worker_requests,
        worker_busy=_busy(requests, last),
        queues=run.queues,
        toll=toll(run),
        kubelet=kubelet_of(run, last),
        cpu_stat=run.cpu_stat,
        routes=_routes(requests),
    )


def _routes(requests: Requests) -> tuple[RouteSample, ...]:
    """Each route's requests; empty where requests have none."""
    rows: list[list[int]] = [[] for _ in requests.routes]
    for row, route in enumerate(requests.route):
        if route != NO_ROUTE:
            rows[route].append(row)
    return tuple(
        _route(requests, name, each) for name, each in zip(requests.routes, rows, strict=True)
    )


def _route(requests: Requests, name: str, rows: Sequence[int]) -> RouteSample:
    ok = [row for row in rows if requests.outcome[row] == OK]
    arrival, started, finished = (
        [column[row] for row in ok]
        for column in (requests.arrival, requests.started, requests.finished)
    )
    return RouteSample(
        name,
        len(rows),
        len(rows) - len(ok),
        _six(_differences(finished, arrival)),
        _six(_differences(started, arrival)),
    )


def _tallied(run: Run, tally: Tally) -> Sample:
    """The sample of a run whose rows were not kept; see `sim.run.arrivals`."""
    span = max(0.0, tally.last - tally.first)
    ok = tally.outcomes[OK]
    return Sample(
        outcomes=tuple(tally.outcomes),
        latency=_sketched(tally.latency),
        wait=_sketched(tally.wait),
        ideal_latency=_sketched(tally.ideal_latency),
        ideal_wait=_sketched(tally.ideal_wait),
        throughput=ok / span if span > 0 else None if ok else 0.0,
        span=span,
        arrival_span=max(0.0, tally.last_arrival - tally.first),
        io=tally.io,
        cpu=tally.cpu,
        worker_requests=tally.worker_requests,
        worker_busy=tally.worker_busy,
        queues=run.queues,
        toll=toll(run),
        cpu_stat=run.cpu_stat,
    )


def _sketched(times: QuantileSketch) -> Six | None:
    if not times.count:
        return None
    p50, p90, p95, p99 = times.quantiles((0.5, 0.9, 0.95, 0.99))
    return Six(times.total / times.count, p50, p90, p95, p99, times.largest)


class _Answered(NamedTuple):
    """Columns of the requests that were answered ``ok``."""

    arrival: Sequence[float]
    started: Sequence[float]
    finished: Sequence[float]


def _answered(requests: Requests) -> _Answered:
    columns = requests.arrival, requests.started, requests.finished
    if requests.outcome.count(OK) == len(requests):
        return _Answered(*columns)
    ok = [code == OK for code in requests.outcome]
    return _Answered(*([*compress(column, ok)] for column in columns))


def _differences(ends: Sequence[float], begins: Sequence[float]) -> list[float]:
    """The differences that are not NaN, sorted."""
    return sorted(known([*map(sub, ends, begins)]))


def _busy(requests: Requests, end: float) -> dict[int, float]:
    """Time that each worker's threads ran requests, s, up to the ``end`` of the run."""
    busy: defaultdict[int, float] = defaultdict(float)
    isnan = math.isnan
    for worker, started, finished, outcome, io, cpu in zip(
        requests.worker,
        requests.started,
        requests.finished,
        requests.outcome,
        requests.io,
        requests.cpu,
        strict=True,
    ):
        if worker and not isnan(started):
            # As `occupied_until` says of nearly all requests, without the call.
            if outcome == OK and finished >= started:
                until = finished
            else:
                until = occupied_until(started, finished, outcome, io + cpu, end)
            busy[worker] = busy[worker] + until - started
    return dict(busy)


def _six(values: Sequence[float]) -> Six | None:
    """The six numbers of sorted ``values``; None without any."""
    if not values:
        return None
    return Six(
        mean=math.fsum(values) / len(values),
        p50=quantile(values, 0.5),
        p90=quantile(values, 0.9),
        p95=quantile(values, 0.95),
        p99=quantile(values, 0.99),
        max=values[-1],
    )


def threads_of(experiment: dict[str, Any]) -> int:
    """Requests that the server can run at once."""
    return int(experiment["server"]["workers"]) * slots(experiment["server"])
