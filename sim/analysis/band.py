"""How far a prediction with the default costs may be off on an unknown machine.

The same replications are predicted with the costs of other machines. A latency of a machine is that
of the prediction, times what the machine changes in the replications that both have; a share is
that of the prediction, plus that change. So arrivals and demands, which are the same, do not widen
the band (common random numbers; Law, *Simulation Modeling and Analysis*, 5th ed., section 11.2).
What the server leaves to chance does, for each machine has chances of its own: so does a run that
somebody measures there. The fewer replications a band has, the more of it is chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from sim.run import OK

if TYPE_CHECKING:
    from sim.analysis.sample import Sample
    from sim.analysis.summary import Summary

#: Latencies that have a band.
MEASURES: Final = ("mean", "p50", "p95", "p99")


class Interval(NamedTuple):
    """The lowest and the highest of the machines, and of the prediction itself."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Band:
    """What the figures of a prediction are on other machines.

    Attributes:
        machines: number of them.
        replications: of each.
        latency: of `MEASURES`, s; without those that a machine has not, because it answers no
            request.
        lost: share of the requests that were not answered ``ok``; None without requests.
        shares: of the requests, by boot order of the workers that the server starts with; empty
            where no worker ran any.
    """

    machines: int
    replications: int
    latency: dict[str, Interval]
    lost: Interval | None
    shares: dict[int, Interval]


def band_of(
    summary: Summary, defaults: Sequence[Sample], machines: Sequence[Sequence[Sample]]
) -> Band:
    """The band of a prediction.

    Args:
        summary: of the prediction.
        defaults: its first replications.
        machines: the same replications with the costs of each machine; at least one machine.
    """
    latency = {}
    for measure in MEASURES:
        value = None if summary.latency is None else getattr(summary.latency, measure).value
        ratios = _changes(partial(_latency, measure), defaults, machines)
        if value is not None and ratios is not None:
            default, others = ratios
            latency[measure] = _interval(value, (value * other / default for other in others))
    shares = {}
    first = int(summary.experiment["server"]["workers"])
    for worker in summary.workers[:first]:
        order = worker.boot_order
        changes = _changes(partial(_share, order), defaults, machines)
        if worker.share is not None and changes is not None:
            shares[order] = _moved(worker.share.value, *changes)
    changes = _changes(_lost, defaults, machines)
    lost = None
    if changes is not None:
        lost = _moved(1 - summary.outcomes["ok"] / summary.requests, *changes)
    return Band(len(machines), len(defaults), latency, lost, shares)


def _changes(
    figure: Callable[[Sample], float | None],
    defaults: Sequence[Sample],
    machines: Sequence[Sequence[Sample]],
) -> tuple[float, list[float]] | None:
    """A figure of the defaults and of each machine, over replications; None if one lacks it."""
    means = [_mean(map(figure, samples)) for samples in (defaults, *machines)]
    known = [mean for mean in means if mean is not None]
    if len(known) < len(means):
        return None
    return known[0], known[1:]


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean, as far as there are values; None without any."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _latency(measure: str, sample: Sample) -> float | None:
    # One that is 0 has no multiple.
    return None if sample.latency is None else getattr(sample.latency, measure) or None


def _share(order: int, sample: Sample) -> float | None:
    total = sample.worker_requests.total()
    return sample.worker_requests[order] / total if total else None


def _lost(sample: Sample) -> float | None:
    requests = sum(sample.outcomes)
    return 1 - sample.outcomes[OK] / requests if requests else None


def _moved(value: float, default: float, others: Sequence[float]) -> Interval:
    """The interval of a share, which stays between 0 and 1."""
    return _interval(value, (min(1.0, max(0.0, value + other - default)) for other in others))


def _interval(value: float, others: Iterable[float]) -> Interval:
    values = [value, *others]
    return Interval(min(values), max(values))
