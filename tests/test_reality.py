"""Holds predictions against the real server, on the very same requests.

Every cell is predicted and measured with one trace. The rule is `sim.comparison.judge`'s: where
the server repeats itself, a figure must be within 10 %; where it does not, prediction and
measurement may be as far apart as the server's own repeats are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import pytest

from reference_app.measure import measure
from sim.comparison import Comparison, compare, ideal_run
from sim.distribution import Distribution
from sim.experiment import Experiment, Server, Traffic
from sim.model.simulation import predict
from sim.run import OK
from sim.summary import summarize

VARIANTS = 40

#: The spread under which the server counts as repeating itself.
REPEATABLE = 0.05

#: Mean demand of 50 ms: at 56 requests/s, 2.8 of four threads are busy.
EXP_50MS = Distribution("exp", (0.05,))
CONST_5MS = Distribution("const", (0.005,))


@dataclass(frozen=True)
class Cell:
    """One configuration under one load."""

    name: str
    server: Server
    rate: float = 56.0
    requests: int = 400
    repeats: int = 3
    io: Distribution = field(default=EXP_50MS)

    def experiment(self) -> Experiment:
        """The cell as an experiment of one replication."""
        traffic = Traffic(rate=self.rate, requests=self.requests, io=self.io)
        return Experiment(server=self.server, traffic=traffic, seed=7, replications=1)


def _gthread(workers: int, threads: int, worker_connections: int = 1000) -> Server:
    return Server(
        workers=workers,
        threads=threads,
        worker_class="gthread",
        worker_connections=worker_connections,
        preload_app=True,
    )


CELLS = {
    cell.name: cell
    for cell in (
        Cell("2x2 low", _gthread(2, 2), rate=24.0, requests=240),
        Cell("2x2 medium", _gthread(2, 2), rate=40.0, requests=320),
        Cell("2x2 high", _gthread(2, 2), requests=500, repeats=4),
        Cell("1x4", _gthread(1, 4)),
        Cell("4x1", _gthread(4, 1), requests=500, repeats=4),
        Cell("2x2, 2 connections each", _gthread(2, 2, worker_connections=2)),
        Cell("sync 4", Server(workers=4, preload_app=True)),
    )
}

#: Low load, and a thread for every request: nothing but who accepts.
SHARES = {
    workers: Cell(
        f"shares of {workers}", _gthread(workers, 8), rate=50.0, requests=400, io=CONST_5MS
    )
    for workers in (2, 3, 4, 8)
}


@cache
def _compared(cell: Cell) -> Comparison:
    experiment = cell.experiment()
    predicted = [predict(experiment, 0, variant) for variant in range(VARIANTS)]
    measured = [measure(experiment, 0, lambda *_: None) for _ in range(cell.repeats)]
    for run in (*predicted, *measured):
        assert list(run.requests.outcome) == [OK] * cell.requests
        assert run.requests.arrival == measured[0].requests.arrival
        assert run.requests.io == measured[0].requests.io
    return compare(
        [summarize([run]) for run in predicted],
        [summarize([run]) for run in measured],
        summarize([ideal_run(measured[0])]),
    )


def _lines(comparison: Comparison) -> str:
    return "\n".join(
        f"{f.name}: predicted {f.predicted:.4g}, measured {f.measured:.4g}, spread {f.spread:.3g}"
        for f in comparison.figures
        if f.predicted is not None and f.measured is not None and f.spread is not None
    )


@pytest.mark.parametrize("name", CELLS)
def test_mean_p50_and_p95_are_those_of_the_real_server(name: str) -> None:
    comparison = _compared(CELLS[name])
    for measure_ in ("mean", "p50", "p95"):
        figure = comparison.figure(f"latency_{measure_}")
        assert figure.error is not None
        assert figure.spread is not None
        limit = 0.10 if figure.spread <= REPEATABLE else max(0.10, figure.spread)
        assert abs(figure.error) <= limit, f"{figure.name} of {name}\n{_lines(comparison)}"


@pytest.mark.parametrize("name", ["1x4", "2x2, 2 connections each", "sync 4"])
def test_where_all_threads_share_one_queue_the_prediction_is_within_3_percent(name: str) -> None:
    comparison = _compared(CELLS[name])
    for measure_ in ("mean", "p95"):
        error = comparison.figure(f"latency_{measure_}").error
        assert error is not None
        assert abs(error) <= 0.03, _lines(comparison)


def _mean(name: str, side: str) -> float:
    value = getattr(_compared(CELLS[name]).figure("latency_mean"), side)
    assert isinstance(value, float)
    return value


@pytest.mark.parametrize("side", ["predicted", "measured"])
def test_equal_capacity_is_not_equal_latency(side: str) -> None:
    """Four threads at 56 requests/s: one queue, two queues, four queues."""
    shared = [_mean(name, side) for name in ("1x4", "2x2, 2 connections each", "sync 4")]
    two, four = _mean("2x2 high", side), _mean("4x1", side)
    assert max(shared) < 1.1 * min(shared)
    assert max(shared) < 0.95 * two
    assert two < 0.95 * four


def test_the_ideal_queue_is_wrong_where_the_prediction_is_right() -> None:
    figure = _compared(CELLS["4x1"]).figure("latency_mean")
    assert figure.error is not None
    assert figure.ideal_error is not None
    assert figure.ideal_error < -0.4
    assert abs(figure.error) < abs(figure.ideal_error)


@pytest.mark.parametrize("workers", SHARES)
def test_who_accepts_at_low_load(workers: int) -> None:
    comparison = _compared(SHARES[workers])
    for boot_order in range(1, workers + 1):
        figure = comparison.figure(f"share_worker_{boot_order}")
        assert figure.error is not None
        assert figure.spread is not None
        assert abs(figure.error) <= max(0.05, figure.spread), _lines(comparison)
