"""Predictions of variations on an experiment, of which few were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from sim.analysis.quantile import quantile
from sim.analysis.summary import summarize
from sim.experiment import Experiment
from sim.model.simulation import predict
from sim.validation.comparison import ideal_run
from site_docs.runs.build_cache import cached_on_disk
from site_docs.runs.page_experiments import RATED, by_name

#: Predictions of each variation, each with other chances of the server.
CHANCES = 10


@dataclass(frozen=True, slots=True)
class Spread:
    """A number that was predicted several times.

    Attributes:
        mean: of all.
        low: 5 % quantile.
        high: 95 % quantile.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """That of at least one value."""
        ordered = sorted(values)
        return cls(fmean(ordered), quantile(ordered, 0.05), quantile(ordered, 0.95))


@dataclass(frozen=True, slots=True)
class Point:
    """One variation: the mean and the 95 % quantile of its latency, s.

    Attributes:
        at: what was varied.
        mean: of the model.
        p95: of the model.
        ideal_mean: of one ideal shared queue.
        ideal_p95: of one ideal shared queue.
    """

    at: float
    mean: Spread
    p95: Spread
    ideal_mean: float
    ideal_p95: float


@cached_on_disk
def at_rate(rate: float) -> Point:
    """The load `RATED` at another rate, requests / s: the same requests, closer together."""
    base = by_name()[RATED].experiment()
    return _point(rate, replace(base, traffic=replace(base.traffic, rate=rate)))


@cached_on_disk
def with_workers(name: str, number: int) -> Point:
    """The experiment of that name with another number of workers."""
    base = by_name()[name].experiment()
    return _point(number, replace(base, server=replace(base.server, workers=number)))


def _point(at: float, experiment: Experiment) -> Point:
    runs = [predict(experiment, 0, variant) for variant in range(CHANCES)]
    times = [summary.latency for summary in (summarize([run]) for run in runs)]
    known = [each for each in times if each is not None]
    ideal = summarize([ideal_run(runs[0])]).latency
    assert ideal is not None, "the ideal queue answers every request"
    return Point(
        at,
        Spread.of([each.mean.value for each in known]),
        Spread.of([each.p95.value for each in known]),
        ideal.mean.value,
        ideal.p95.value,
    )
