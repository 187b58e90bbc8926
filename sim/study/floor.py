"""What no server can undercut: the demands of the requests themselves."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from sim.analysis.quantile import quantile
from sim.experiment import Experiment
from sim.run.arrivals import schedule
from sim.study.objective import LOST, Objective
from sim.study.observation import Observation
from sim.study.sequential import FIRST_LOOK, judge


class Floor(NamedTuple):
    """A measure of the demands alone, s."""

    measure: str
    value: float


def floored(base: Experiment, objectives: Sequence[Objective]) -> tuple[Floor, ...]:
    """The objectives that the demands alone exceed, judged as any server is."""
    if any(o.measure == LOST and o.limit > 0 for o in objectives):
        return ()  # Those that are lost could be the longest.
    floors = (floor(base, replication) for replication in range(FIRST_LOOK))
    demands = [demand for demand in floors if demand is not None]
    if len(demands) < FIRST_LOOK:
        return ()
    return tuple(
        Floor(o.measure, fmean(map(o.of, demands)))
        for o in objectives
        if judge(demands, (o,), (FIRST_LOOK,)).decision == "fails"
    )


def floor(base: Experiment, replication: int) -> Observation | None:
    """One replication on a server without queue or cost; None for a closed loop.

    Every request takes its ``io`` and ``cpu`` at least, so every latency's mean and quantiles are
    at least these, whatever the server.
    """
    if base.traffic.arrivals == "closed":
        return None
    rows = schedule(base, replication)
    demands = sorted(io + cpu for io, cpu in zip(rows.io, rows.cpu, strict=True))
    if not demands:
        return None
    p50, p90, p95, p99 = (quantile(demands, p) for p in (0.5, 0.9, 0.95, 0.99))
    mean = sum(demands) / len(demands)
    return Observation(mean, p50, p90, p95, p99, demands[-1], 0.0, None, None, 0.0)
