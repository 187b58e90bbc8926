"""Every chart of the site, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sim.errors import ExperimentError
from sim.reports.html.chart import Chart
from site_docs.charts.agreement import agreement
from site_docs.charts.latency import configurations, quantiles
from site_docs.charts.misses import misses
from site_docs.charts.moment import moment
from site_docs.charts.queues import queues
from site_docs.charts.shares import shares
from site_docs.charts.sweeps import sweep
from site_docs.charts.trouble import trouble
from site_docs.rendering import validated
from site_docs.runs import moving
from site_docs.runs.build_cache import cached_in_process, cached_on_disk
from site_docs.runs.evidence import evidence
from site_docs.runs.page_experiments import RATED, RATES, by_name
from site_docs.runs.sweep import at_rate, with_workers

#: The same four threads, configured in six ways, and what charts call them.
FOUR_THREADS = {
    "sync-4": "sync, 4 workers",
    "gthread-1x4": "gthread 1 x 4",
    "gthread-2x2-worker-connections": "gthread 2 x 2, limit 2",
    "gthread-2x2-reuse-port": "gthread 2 x 2, reuse port",
    "gthread-2x2": "gthread 2 x 2",
    "gthread-4x1": "gthread 4 x 1",
}

#: Workers of which the connections' shares are shown.
IDLE = ("idle-2-workers", "idle-4-workers", "idle-8-workers")

#: Rates of the predicted line, requests / s; four threads of 50 ms a request serve 80.
SWEPT = tuple(float(rate) for rate in range(8, 73, 8))

#: Numbers of workers that the CPU-bound load is predicted with; those of `CPU` are measured.
WORKERS = (1, 2, 3, 4, 5, 6, 8, 10)
CPU = {2.0: "cpu-2-workers", 5.0: "cpu-5-workers"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A chart, and what its measured points are of.

    Attributes:
        make: draws it.
        experiments: names of those that it shows.
    """

    make: Callable[[], Chart]
    experiments: tuple[str, ...]


def _four_threads(name: str, title: str, measure: str) -> Entry:
    def make() -> Chart:
        rows = [(label, evidence(key)) for key, label in FOUR_THREADS.items()]
        return configurations(name, title, rows, measure)

    return Entry(make, tuple(FOUR_THREADS))


def _by_rate() -> Chart:
    measured = {float(rate): evidence(f"{RATED}-at-{rate}") for rate in RATES}
    measured[by_name()[RATED].experiment().traffic.rate] = evidence(RATED)
    return sweep(
        "by-rate",
        "Latency of gthread 2 x 2 as the rate grows",
        "requests / s",
        [at_rate(rate) for rate in SWEPT],
        measured,
        "latency_p95",
    )


def _by_workers() -> Chart:
    return sweep(
        "by-workers",
        "Latency of a load that only computes, on two cores",
        "sync workers",
        [with_workers(CPU[2.0], number) for number in WORKERS],
        {number: evidence(name) for number, name in CPU.items()},
        "latency_mean",
    )


def _agreement() -> Chart:
    title = "Latency of every cell of the validation, predicted against measured"
    return agreement("agreement", title, validated.read().cells)


def _misses() -> Chart:
    title = "Error of every cell of the validation against what the server's own repeats differ by"
    return misses("misses", title, validated.read().validation.results)


def _quantiles(name: str) -> Entry:
    title = f"Latency of {FOUR_THREADS[name]}"
    return Entry(lambda: quantiles(f"quantiles-{name}", title, evidence(name)), (name,))


def _moment(name: str) -> Entry:
    def make() -> Chart:
        picture = moving.moving(name)
        return moment(f"moment-{name}", f"One moment of {FOUR_THREADS[name]}", *picture.at_moment())

    return Entry(make, ())


def _queues() -> Chart:
    title = "How often a request waits while a thread is idle"
    rows = [(label, evidence(key)) for key, label in FOUR_THREADS.items()]
    return queues("queues-beside-idle", title, rows)


def _trouble(name: str) -> Entry:
    title = f"Second by second: {name.replace('-', ' ').replace('launchdarkly', 'LaunchDarkly')}"
    return Entry(lambda: trouble(f"trouble-{name}", title, evidence(name)), (name,))


@cached_in_process
def entries() -> dict[str, Entry]:
    """What there is to draw."""
    one = {
        "four-threads-mean": _four_threads(
            "four-threads-mean", "Mean latency of the same four threads", "latency_mean"
        ),
        "four-threads-p95": _four_threads(
            "four-threads-p95",
            "95 % quantile of the same four threads' latency",
            "latency_p95",
        ),
        "by-rate": Entry(_by_rate, (RATED, *(f"{RATED}-at-{rate}" for rate in RATES))),
        "by-workers": Entry(_by_workers, tuple(CPU.values())),
        "shares": Entry(
            lambda: shares(
                "shares",
                "Which worker accepts, with next to nothing to do",
                [evidence(name) for name in IDLE],
            ),
            IDLE,
        ),
        "queues-beside-idle": Entry(_queues, tuple(FOUR_THREADS)),
        "agreement": Entry(_agreement, ()),
        "misses": Entry(_misses, ()),
    }
    of_loads = {f"quantiles-{name}": _quantiles(name) for name in FOUR_THREADS}
    of_troubles = {
        f"trouble-{name}": _trouble(name)
        for name, experiment in by_name().items()
        if experiment.trouble and experiment.release is None
    }
    of_moments = {f"moment-{name}": _moment(name) for name in moving.NAMES}
    return {**one, **of_loads, **of_troubles, **of_moments}


@cached_on_disk
def draw(name: str) -> Chart:
    """The chart of that name.

    Raises:
        ExperimentError: when there is none, or its data is not there.
    """
    if name not in entries():
        raise ExperimentError(f"{name!r} is no chart; expected one of {', '.join(entries())}")
    return entries()[name].make()
