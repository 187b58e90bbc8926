"""The clock's way around its queue changes no prediction.

Goal: what is next waits beside the queue of the clock, which is quicker, and nothing else differs.
Method: predict experiments of all kinds with it and without it, and compare every byte.
"""

from __future__ import annotations

import pytest
from strategies import SLOW

from sim.experiment import Experiment, Host, Server, TraceRow, Traffic
from sim.experiment.costs import PARTS, Costs
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Signal
from sim.model.engine import clock, heap
from sim.model.simulation import predict

IO = Distribution("exp", (0.05,))
SERVER = Server(worker_class="gthread", workers=2, threads=2)
TRAFFIC = Traffic(rate=60.0, requests=2000, io=IO)

#: Times of steps and arrivals that floats add up without rounding, so that things happen together.
STEP = 1 / 1024
STEPS = Costs(
    connect=STEP,
    send=STEP,
    accept=STEP,
    request=STEP,
    first_request=STEP,
    timer_slack=0.0,
    respond=STEP,
    receive=STEP,
    finish=STEP,
    sync_finish=STEP,
    **dict.fromkeys(PARTS, 1.0),
)
TOGETHER = tuple(
    TraceRow(place // 4 * 32 * STEP, (3 + place * 7 % 61) * STEP, 0.0) for place in range(2000)
)

EXPERIMENTS = {
    "as the benchmark": Experiment(SERVER, traffic=TRAFFIC),
    "more than it can serve": Experiment(
        Server(worker_class="gthread", workers=2, threads=2, backlog=16, worker_connections=6),
        traffic=Traffic(rate=90.0, requests=2000, io=IO),
    ),
    "as many connections as threads": Experiment(
        Server(worker_class="gthread", workers=2, threads=2, worker_connections=2), traffic=TRAFFIC
    ),
    "many workers": Experiment(
        Server(worker_class="gthread", workers=8, threads=1), Host(cores=4), TRAFFIC
    ),
    "an application that computes": Experiment(
        SERVER, traffic=Traffic(rate=60.0, requests=2000, cpu=Distribution("exp", (0.01,)))
    ),
    "a socket each": Experiment(
        Server(worker_class="gthread", workers=2, threads=2, reuse_port=True), traffic=TRAFFIC
    ),
    "workers that restart": Experiment(
        Server(worker_class="gthread", workers=2, threads=2, max_requests=150), traffic=TRAFFIC
    ),
    "a worker that is killed": Experiment(
        SERVER,
        traffic=TRAFFIC,
        disturbances=(
            Signal(at=5.0, signal="KILL", to="worker", worker=1),
            Signal(at=9.0, signal="STOP", to="worker", worker=2),
            Signal(at=12.0, signal="CONT", to="worker", worker=2),
        ),
    ),
    "steps longer than a slice": Experiment(
        SERVER, traffic=Traffic(rate=40.0, requests=2000, io=IO), costs=SLOW
    ),
    "longer steps, and an application that computes": Experiment(
        SERVER,
        traffic=Traffic(rate=30.0, requests=2000, io=IO, cpu=Distribution("exp", (0.01,))),
        costs=SLOW,
    ),
    "at one moment": Experiment(
        SERVER, traffic=Traffic(arrivals="trace", trace=TOGETHER), costs=STEPS
    ),
}


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_nothing_differs_where_all_wait_in_the_queue(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = 0

    def count(entries: list[heap.Entry], due: heap.Due) -> None:
        nonlocal pushed
        pushed += 1
        heap.push(entries, due)

    monkeypatch.setattr(clock, "push", count)
    beside = predict(experiment)
    most, pushed = pushed, 0
    monkeypatch.setattr(clock, "BESIDE", False)
    queued = predict(experiment)
    assert repr(queued) == repr(beside)
    assert max(beside.requests.started) > 0
    assert most < 0.8 * pushed
