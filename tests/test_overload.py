"""Holds overload against the real server and the real kernel, on the very same requests.

More requests come than there is room for in the accept queue. Each scenario is predicted several
times, with other chances, and measured once; a second time, alone, where that surprises.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import cache
from math import sqrt

import pytest

from reference_app.measure import measure
from sim.distribution import Distribution
from sim.experiment import Experiment, Server, Traffic
from sim.model.simulation import predict
from sim.run import Run

VARIANTS = 12

#: By which a share of the requests may differ.
SHARE = 0.05

SYNC = Server(workers=1, timeout=0, preload_app=True)
GTHREAD = Server(
    workers=2, threads=2, worker_class="gthread", worker_connections=2, preload_app=True
)


def _overload(server: Server, *, rate: float, io: float, **traffic: float | None) -> Experiment:
    return Experiment(
        server=server,
        traffic=Traffic(
            rate=rate,
            io=Distribution("const", (io,)),
            **traffic,  # type: ignore[arg-type]
        ),
        seed=3,
        replications=1,
    )


#: Four times as many requests as can be served, at least.
SCENARIOS = {
    "sync, backlog 1": _overload(
        replace(SYNC, backlog=1), rate=20.0, io=0.2, duration=3.0, drain=15.0
    ),
    "sync, backlog 8": _overload(
        replace(SYNC, backlog=8), rate=20.0, io=0.2, duration=3.0, drain=15.0
    ),
    "sync, backlog 2048": _overload(
        replace(SYNC, workers=4), rate=900.0, io=0.02, duration=4.0, drain=15.0
    ),
    "gthread, worker_connections reached": _overload(
        replace(GTHREAD, backlog=8), rate=60.0, io=0.2, duration=3.0, drain=15.0
    ),
    "clients give up": _overload(
        replace(GTHREAD, backlog=1),
        rate=60.0,
        io=0.2,
        duration=3.0,
        drain=8.0,
        timeout=1.5,
        retries=1,
    ),
}


def _measure(name: str) -> Run:
    return measure(SCENARIOS[name], 0, lambda *_: None)


class Measurements:
    """Every scenario measured at the same time: the clients wait more than anybody computes."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._first = {name: pool.submit(_measure, name) for name in SCENARIOS}

    def of(self, name: str) -> Run:
        """The first measurement."""
        return self._first[name].result()

    def again(self, name: str) -> Run:
        """A second one, with the machine to itself."""
        wait(self._first.values())
        return _measure(name)


@pytest.fixture(scope="module")
def measurements() -> Iterator[Measurements]:
    """The measurements of this session."""
    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        yield Measurements(pool)
        pool.shutdown(cancel_futures=True)


@cache
def predictions(name: str) -> list[Run]:
    """A scenario's predictions, one for each variant of the server's and the kernel's chances."""
    return [predict(SCENARIOS[name], 0, variant) for variant in range(VARIANTS)]


def latencies(run: Run) -> list[float]:
    """Of the requests that were answered, s, the shortest first."""
    return sorted(row.latency for row in run.requests if row.outcome == "ok")


def distance(one: list[float], other: list[float]) -> float:
    """Kolmogorov and Smirnov's: by how much the two distributions differ at most."""
    return max(
        abs(bisect_right(one, value) / len(one) - bisect_right(other, value) / len(other))
        for value in (*one, *other)
    )


def _outcomes_are_off(name: str, measured: Run) -> str | None:
    counts = [Counter(row.outcome for row in run.requests) for run in predictions(name)]
    found = Counter(row.outcome for row in measured.requests)
    margin = 2 + SHARE * len(measured.requests)
    for outcome in {outcome for count in (*counts, found) for outcome in count}:
        least = min(count[outcome] for count in counts)
        most = max(count[outcome] for count in counts)
        if not least - margin <= found[outcome] <= most + margin:
            return f"{found[outcome]} of {outcome}, predicted {least} to {most}"
    return None


def _latencies_are_off(name: str, measured: Run) -> str | None:
    found = latencies(measured)
    expected = sorted(latency for run in predictions(name) for latency in latencies(run))
    # Beyond which chance alone takes samples of this size one time in 200.
    allowed = max(SHARE, 1.73 / sqrt(len(found)))
    off = distance(found, expected)
    return None if off <= allowed else f"distributions {off:.3f} apart, expected {allowed:.3f}"


def _throughput_is_off(name: str, measured: Run) -> str | None:
    """Requests that were answered while more came than could be served."""
    end = SCENARIOS[name].traffic.duration
    answered = [
        sum(row.outcome == "ok" and row.finished <= end for row in run.requests)
        for run in (measured, *predictions(name))
    ]
    found, least, most = answered[0], min(answered[1:]), max(answered[1:])
    if not 0.9 * least - 2 <= found <= 1.1 * most + 2:
        return f"{found} answers in {end:g} s, predicted {least} to {most}"
    return None


@pytest.mark.parametrize("look", [_outcomes_are_off, _latencies_are_off, _throughput_is_off])
@pytest.mark.parametrize("name", SCENARIOS)
def test_overload_is_as_predicted(
    name: str, look: Callable[[str, Run], str | None], measurements: Measurements
) -> None:
    if look(name, measurements.of(name)) is not None:
        assert look(name, measurements.again(name)) is None
