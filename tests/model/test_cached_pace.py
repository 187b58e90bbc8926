"""A worker's own code is quick while the caches hold it: its own, and less so another worker's."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import pytest
from strategies import FREE

from sim.experiment import (
    Connection,
    Experiment,
    Host,
    Server,
    TraceRow,
    Traffic,
    WorkerClass,
)
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.model.caches.cached_pace import CachedPace
from sim.model.caches.computing import Computing
from sim.model.caches.host_steps import HostSteps
from sim.model.engine.clock import ALL_CALLS
from sim.model.fitted.caches import HOT
from sim.model.fitted.steps import AT_ONCE
from sim.model.gunicorn import gthread
from sim.model.simulation import _Simulation, predict
from sim.run import OK

COSTS = replace(Costs(), cached=0.4, cached_elsewhere=0.7, eviction=0.005)


def paces() -> tuple[CachedPace, CachedPace, Computing]:
    """Of two workers on two cores."""
    computing = Computing(2)
    host = HostSteps(computing)
    return CachedPace(COSTS, host), CachedPace(COSTS, host), computing


def test_the_first_step_is_cold() -> None:
    first, _, _ = paces()
    assert first.step(0.0) == pytest.approx(1.0)


@pytest.mark.parametrize("idle", [0.0, 0.001, 0.005, 0.02])
def test_what_is_saved_is_lost_exponentially(idle: float) -> None:
    first, second, _ = paces()
    first.step(1.0)
    assert first.at(1.0 + idle) == pytest.approx(1 - 0.6 * exp(-idle / 0.005))
    assert second.at(1.0 + idle) == pytest.approx(1 - 0.3 * exp(-idle / 0.005))


def test_each_step_warms_a_part_of_what_is_cold() -> None:
    first, second, _ = paces()
    first.step(1.0)
    assert first.step(1.0) == pytest.approx(0.4)
    most = 1 - HOT * 0.4
    warm = 1 - (1 - 0.6 / most) ** 2
    assert first.at(1.0) == pytest.approx(1 - most * warm)
    assert first.at(1.005) == pytest.approx(1 - most * warm * exp(-1.0))
    for _ in range(20):
        first.step(1.0)
    assert first.at(1.0) == pytest.approx(HOT * 0.4)
    # What others have warmed is not more for that.
    assert second.at(1.0) == pytest.approx(0.7)


def test_the_better_of_both_counts() -> None:
    first, second, _ = paces()
    first.step(1.0)
    second.step(1.003)
    assert first.at(1.003) == pytest.approx(1 - 0.6 * exp(-0.6))
    second.step(1.02)
    assert first.at(1.02) == pytest.approx(0.7)


def test_a_step_that_is_only_asked_for_has_not_run() -> None:
    first, _, _ = paces()
    first.at(1.0)
    assert first.at(1.0) == pytest.approx(1.0)
    first.step(1.0)
    assert first.at(1.0) == pytest.approx(0.4)


def test_without_eviction_only_what_runs_at_once_is_quick() -> None:
    first = CachedPace(replace(COSTS, eviction=0.0), HostSteps(Computing(1)))
    first.step(1.0)
    assert first.at(1.001) == pytest.approx(1.0)
    assert first.step(1.0) == pytest.approx(0.4)


def test_only_idleness_cools() -> None:
    first, second, computing = paces()
    first.step(1.0)
    # One of the two cores computes for all of the 10 ms.
    computing.computed(0.01)
    assert first.at(1.01) == pytest.approx(1 - 0.6 * exp(-1.0))
    # Both do, and have not finished yet.
    computing.computed(0.02)
    assert first.at(1.01) == pytest.approx(0.4)
    assert second.at(1.01) == pytest.approx(0.7)


@pytest.mark.parametrize("worker_class", ["gthread", "sync"])
@pytest.mark.parametrize(("cpu", "quicker"), [(0.0, False), (0.012, True)])
def test_workers_that_compute_stay_warm(
    worker_class: WorkerClass, cpu: float, quicker: bool
) -> None:
    """Requests 15 ms apart, of which one of two cores computes for 12: 9 ms of idleness."""
    trace = tuple(TraceRow(0.015 * number, 0.0, cpu) for number in range(50))
    server = Server(workers=2, worker_class=worker_class)

    def last_start(costs: Costs) -> float:
        traffic = Traffic(arrivals="trace", trace=trace)
        row = list(predict(Experiment(server, traffic=traffic, costs=costs)).requests)[-1]
        return row.started - row.accepted

    warm = last_start(replace(COSTS, cached=0.0, cached_elsewhere=0.0))
    cold = last_start(replace(COSTS, cached=1.0, cached_elsewhere=1.0))
    assert (warm < 0.9 * cold) == quicker


def test_a_thread_that_does_not_sleep_begins_the_next_sooner_on_a_kept_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two users of one thread: each request waits in the worker until the other's is answered."""
    costs = replace(COSTS, cached=1.0, cached_elsewhere=1.0, warm=1.0)

    def turnaround(connection: Connection) -> float:
        io = Distribution("const", (0.02,))
        traffic = Traffic(arrivals="closed", users=2, requests=40, io=io, connection=connection)
        server = Server(threads=1, worker_class="gthread")
        rows = list(predict(Experiment(server, traffic=traffic, costs=costs)).requests)
        assert rows[-1].arrival < rows[-2].started
        return rows[-1].started - rows[-2].started

    kept, new = turnaround("keepalive"), turnaround("new")
    monkeypatch.setattr(gthread, "AT_ONCE", 1.0)
    assert turnaround("keepalive") - kept == pytest.approx((1 - AT_ONCE) * costs.request)
    assert turnaround("new") == pytest.approx(new)


@pytest.mark.parametrize("cpu", [0.0003, 0.0009, 0.003])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
@pytest.mark.parametrize("connection", ["new", "keepalive"])
def test_all_that_requests_compute_is_counted(
    cpu: float, workers: int, worker_class: WorkerClass, connection: Connection
) -> None:
    # Quick requests too, which are answered in passing: alone, with the next one waiting, or not.
    traffic = Traffic(
        rate=150.0,
        requests=400,
        connection=connection,
        io=Distribution("exp", (0.01,)),
        cpu=Distribution("const", (cpu,)),
    )
    server = Server(
        workers=workers, threads=2 - (worker_class == "sync"), worker_class=worker_class
    )
    simulation = _Simulation(Experiment(server=server, traffic=traffic), 0, 0, None)
    simulation.advance(ALL_CALLS)
    run = simulation.run()
    assert set(run.requests.outcome) == {OK}
    counted = simulation.wiring.ends.computing
    assert counted.seconds == pytest.approx(400 * cpu * counted.share)


def test_a_thread_of_an_older_release_finishes_sooner_what_the_caches_have() -> None:
    """Who comes while a request is finished waits for it: after two others less than half."""
    costs = replace(FREE, finish=0.1, cached=0.5, cached_elsewhere=1.0, eviction=100.0)
    moments = (0.0, 0.001, 1.0, 1.001)
    traffic = Traffic(arrivals="trace", trace=tuple(TraceRow(at, 0.0, 0.0) for at in moments))
    server = Server(workers=1, worker_class="gthread", gunicorn="23.0.0", preload_app=True)
    asked = Experiment(server, Host(clients="remote"), traffic, costs=costs)
    most = 1 - HOT * 0.5
    warm = 1 - (1 - 0.5 / most) ** 2
    quick = 1.0 + 0.1 * (1 - most * warm)
    assert list(predict(asked).requests.started) == pytest.approx([0.0, 0.1, 1.0, quick], abs=0.001)
