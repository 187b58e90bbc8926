"""What no server can undercut: the demands of the requests themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from sim.analysis.quantile import quantile
from sim.experiment import Experiment
from sim.run.arrivals import schedule
from sim.study.objective import LOST, Objective
from sim.study.observation import LATENCIES, Observation, measure_of
from sim.study.sequential import FIRST_STAGE, judge


class Floor(NamedTuple):
    """A measure of the demands alone, s."""

    measure: str
    value: float


def floored(base: Experiment, objectives: Sequence[Objective]) -> tuple[Floor, ...]:
    """The objectives that the demands alone exceed, judged as any server is."""
    if any(o.is_lost and o.limit > 0 for o in objectives):
        return ()  # Those that are lost could be the longest.
    floors = (floor(base, replication) for replication in range(FIRST_STAGE))
    demands = [demand for demand in floors if demand is not None]
    if len(demands) < FIRST_STAGE:
        return ()
    return tuple(
        Floor(o.measure, fmean(map(o.of, demands)))
        for o in objectives
        if judge(demands, (o,), (FIRST_STAGE,)).decision == "fails"
    )


def floor(base: Experiment, replication: int) -> Observation | None:
    """One replication on a server without queue or cost; None for a closed loop.

    Every request takes its ``io`` and ``cpu`` at least, so every latency's mean and quantiles are
    at least these, whatever the server.
    """
    if base.traffic.arrivals == "closed":
        return None
    rows = schedule(base, replication)
    demands = [io + cpu for io, cpu in zip(rows.io, rows.cpu, strict=True)]
    if not demands:
        return None
    routes: list[tuple[str, float | None]] = []
    for code, name in enumerate(rows.routes):
        own = [demand for demand, route in zip(demands, rows.route, strict=True) if route == code]
        # Without a request it has no number, and is judged as any server's.
        times = _times(own) if own else dict.fromkeys(LATENCIES)
        routes += [(measure_of(name, measure), value) for measure, value in times.items()]
        routes += [(measure_of(name, "wait"), 0.0), (measure_of(name, LOST), 0.0)]
    return Observation(
        **_times(demands), wait=0.0, throughput=None, busy=None, lost=0.0, routes=tuple(routes)
    )


def _times(demands: Iterable[float]) -> dict[str, float]:
    """Mean and quantiles, at least of one."""
    ordered = sorted(demands)
    shares = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}
    quantiles = {name: quantile(ordered, share) for name, share in shares.items()}
    return {"mean": sum(ordered) / len(ordered), **quantiles}
