"""Predictions of variations on an experiment, of which few or none were measured."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean

from sim.arguments import add_experiment_arguments, experiment_from
from sim.comparison import ideal_run
from sim.model.simulation import predict
from sim.one_line_parser import OneLineParser
from sim.quantile import quantile
from sim.run import Run
from sim.summary import Summary, summarize
from site_docs.shown import RATED, by_name

#: Predictions of each variation: other chances of the server, or other requests.
CHANCES = 10

#: Replications of a forecast.
FEW = 3


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


@cache
def by_rate(rates: tuple[float, ...]) -> tuple[Point, ...]:
    """The load `RATED` at other rates, requests / s: the same requests, closer together."""
    base = by_name()[RATED].experiment()
    points = []
    for rate in rates:
        experiment = replace(base, traffic=replace(base.traffic, rate=rate))
        runs = [predict(experiment, 0, variant) for variant in range(CHANCES)]
        points.append(_point(rate, runs, [ideal_run(runs[0])]))
    return tuple(points)


@cache
def by_workers(name: str, numbers: tuple[int, ...]) -> tuple[Point, ...]:
    """The experiment of that name with other numbers of workers."""
    base = by_name()[name].experiment()
    points = []
    for number in numbers:
        experiment = replace(base, server=replace(base.server, workers=number))
        runs = [predict(experiment, 0, variant) for variant in range(CHANCES)]
        points.append(_point(number, runs, [ideal_run(runs[0])]))
    return tuple(points)


@cache
def forecast(flags: str) -> Summary:
    """What is predicted of any other experiment, whose words are those of the command line.

    Args:
        flags: behind ``python -m sim``; without ``--replications`` there are `FEW`.

    Raises:
        ExperimentError: when they cannot be understood.
    """
    parser = OneLineParser(prog=flags)
    add_experiment_arguments(parser, replications=FEW)
    experiment = experiment_from(parser.parse_args(shlex.split(flags)))[0]
    return summarize(predict(experiment, number) for number in range(experiment.replications))


def _point(at: float, runs: Sequence[Run], ideals: Sequence[Run]) -> Point:
    times = [summary.latency for summary in (summarize([run]) for run in runs)]
    known = [each for each in times if each is not None]
    ideal = summarize(ideals).latency
    assert ideal is not None, "the ideal queue answers every request"
    return Point(
        at,
        Spread.of([each.mean.value for each in known]),
        Spread.of([each.p95.value for each in known]),
        ideal.mean.value,
        ideal.p95.value,
    )
