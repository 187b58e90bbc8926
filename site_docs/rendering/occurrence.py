"""On which releases of Gunicorn a field case occurs: its experiments, predicted on each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sim.analysis.summary import Summary, summarize
from sim.experiment.distribution import Distribution
from sim.experiment.release import KNOWN, NEWEST
from sim.model.simulation import predict
from sim.run import RESET, Run
from site_docs.rendering import numbers
from site_docs.runs.build_cache import cached_on_disk
from site_docs.runs.page_experiments import FAQ_RELEASE, by_name

#: The oldest release that people run, the one that the FAQ was written about, and the newest.
RELEASES: Final = (KNOWN[0], FAQ_RELEASE, NEWEST)

#: How often each experiment is predicted.
VARIANTS = 4


@dataclass(frozen=True, slots=True)
class Case:
    """A field case.

    Attributes:
        heading: of its section on the page.
        name: of the experiment in which it occurs.
        figure: what shows it, in words.
        value: the figure of a prediction.
        write: the figure in words.
        occurs: whether a figure of that size is the trouble that people reported.
        io: s that a request waits; None is as the experiment has it.
    """

    heading: str
    name: str
    figure: str
    value: Callable[[Summary, list[Run]], float]
    write: Callable[[float], str]
    occurs: Callable[[float], bool]
    io: float | None = None


def _mean(summary: Summary, _: list[Run]) -> float:
    assert summary.latency is not None
    return summary.latency.mean.value


def _median(summary: Summary, _: list[Run]) -> float:
    assert summary.latency is not None
    return summary.latency.p50.value


def _throughput(summary: Summary, _: list[Run]) -> float:
    assert summary.throughput is not None
    return summary.throughput.value


def _failed(summary: Summary, _: list[Run]) -> float:
    return 1 - summary.outcomes["ok"] / sum(summary.outcomes.values())


def _reset(_: Summary, runs: list[Run]) -> float:
    return sum(run.requests.outcome.count(RESET) for run in runs) / len(runs)


def _spread(summary: Summary, _: list[Run]) -> float:
    shares = [worker.share.value for worker in summary.workers if worker.share is not None]
    return max(shares) / min(shares)


CASES: Final = (
    Case(
        "Why does a fast request wait behind a slow one, with idle workers?",
        "slow-neighbour-1",
        "mean latency",
        _mean,
        numbers.ms,
        lambda mean: mean > 0.2,
    ),
    Case(
        "Why do 8 workers of 4 threads not serve 32 at once?",
        "thirty-two-1",
        "responses",
        _throughput,
        numbers.rate,
        lambda rate: rate < 26,
    ),
    Case(
        "Why are some workers busier than others?",
        "idle-8-workers",
        "the largest share, as a multiple of the smallest",
        _spread,
        numbers.factor,
        lambda spread: spread > 2,
    ),
    Case(
        "What does `timeout` time?",
        "long-requests-1",
        "requests of 7 s that fail at `max_requests`",
        _failed,
        numbers.percent,
        lambda failed: failed > 0,
        io=7.0,
    ),
    Case(
        "How many clients can five workers serve?",
        "five-workers-1",
        "responses",
        _throughput,
        numbers.rate,
        lambda rate: rate < 6,
    ),
    Case(
        "Why only 4 requests/s from 9 workers of 200 threads?",
        "computing-1",
        "responses",
        _throughput,
        numbers.rate,
        lambda rate: rate < 2.2,
    ),
    Case(
        "Why does a worker that restarts cause 502s?",
        "retiring-worker-1",
        "requests that are reset",
        _reset,
        numbers.count,
        lambda reset: reset > 5,
    ),
    Case(
        "Why do health checks fail while workers idle?",
        "starving-probes-1",
        "median latency",
        _median,
        numbers.ms,
        lambda median: median > 1,
    ),
    Case(
        "Why does a gevent worker time out while it works?",
        "gevent-computing-1",
        "requests that get no response",
        _failed,
        numbers.percent,
        lambda failed: failed > 0.5,
    ),
    Case(
        "What do two gevent workers do with calls of 20 s?",
        "million-dollar-2",
        "requests that `sync` loses",
        _failed,
        numbers.percent,
        lambda failed: failed > 0.5,
    ),
    Case(
        "Why does gevent block with preload_app?",
        "unpatched-1",
        "mean latency",
        _mean,
        numbers.ms,
        lambda mean: mean > 0.06,
    ),
    Case(
        "Why do four uploads block everybody?",
        "uploads-block-1",
        "mean latency",
        _mean,
        numbers.ms,
        lambda mean: mean > 0.2,
    ),
)

BY_NAME: Final[Mapping[str, Case]] = {case.name: case for case in CASES}


@cached_on_disk
def predicted(name: str, release: str) -> float:
    """The figure of a case on a release.

    Args:
        name: of the case's experiment.
        release: one of `sim.experiment.release.KNOWN`.
    """
    experiment = by_name()[name].experiment()
    case, traffic = BY_NAME[name], experiment.traffic
    if case.io is not None:
        traffic = replace(traffic, io=Distribution("const", (case.io,)))
    server = replace(experiment.server, gunicorn=release)
    experiment = replace(experiment, server=server, traffic=traffic)
    runs = [predict(experiment, 0, variant) for variant in range(VARIANTS)]
    return case.value(summarize(runs), runs)


def occurs(name: str, release: str) -> bool:
    """Whether the case is predicted to occur on a release."""
    return BY_NAME[name].occurs(predicted(name, release))


def table() -> str:
    """Every case with what is predicted for `RELEASES`."""
    lines = [
        f"| they ask | shown by | {' | '.join(RELEASES)} |",
        f"| --- | --- |{' --- |' * len(RELEASES)}",
    ]
    for case in CASES:
        cells = [
            f"{'yes' if occurs(case.name, each) else '**no**'}: "
            f"{case.write(predicted(case.name, each))}"
            for each in RELEASES
        ]
        lines.append(f"| {case.heading} | {case.figure} | {' | '.join(cells)} |")
    return "\n".join(lines)
