"""The demand of a trace: what each route's requests wait and compute, as distributions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev

from sim.experiment import TraceRow
from sim.study.fit.fitting import Fit, best_fit

#: The name of all requests where none has a route.
ALL = "all requests"


@dataclass(frozen=True, slots=True)
class Demand:
    """The demand of one kind of request.

    Attributes:
        name: of the route; `ALL` where no request has one.
        requests: how many there are.
        share: of all requests, from 0 to 1.
        io: s that they wait.
        cpu: s that they compute.
        together: correlation of the two, from -1 to 1; None where one does not vary. A prediction
            draws them apart.
    """

    name: str
    requests: int
    share: float
    io: Fit
    cpu: Fit
    together: float | None


@dataclass(frozen=True, slots=True)
class Service:
    """The demand of all kinds of request, and how they come.

    Attributes:
        demands: the most frequent first.
        rate: requests / s; None where all come at once.
        spread: standard deviation of the times between two arrivals over their mean: 1 where they
            come by chance (Poisson), 0 at constant intervals, more in bursts; None as above.
    """

    demands: tuple[Demand, ...]
    rate: float | None
    spread: float | None


def fitted(rows: Sequence[TraceRow], seed: int = 1) -> Service:
    """Fit the requests of a trace, at least one."""
    by_route: defaultdict[str, list[TraceRow]] = defaultdict(list)
    for row in rows:
        by_route[row.route or ALL].append(row)
    demands = [_demand(name, those, len(rows), seed) for name, those in by_route.items()]
    gaps = [after.arrival_s - row.arrival_s for row, after in pairwise(rows)]
    mean = fmean(gaps) if gaps else 0.0
    return Service(
        demands=tuple(sorted(demands, key=lambda one: (-one.requests, one.name))),
        rate=1 / mean if mean > 0 else None,
        spread=pstdev(gaps, mean) / mean if mean > 0 else None,
    )


def _demand(name: str, rows: Sequence[TraceRow], all_: int, seed: int) -> Demand:
    io, cpu = [row.io_s for row in rows], [row.cpu_s for row in rows]
    return Demand(
        name=name,
        requests=len(rows),
        share=len(rows) / all_,
        io=best_fit(io, seed),
        cpu=best_fit(cpu, seed),
        together=_correlation(io, cpu),
    )


def _correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    means = fmean(one), fmean(other)
    spreads = pstdev(one, means[0]), pstdev(other, means[1])
    if min(spreads) <= 0:
        return None
    both = fmean((a - means[0]) * (b - means[1]) for a, b in zip(one, other, strict=True))
    return both / (spreads[0] * spreads[1])
