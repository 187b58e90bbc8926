"""Holds kept connections and slow clients against the real server, on the very same requests."""

from __future__ import annotations

from dataclasses import replace
from math import log2
from typing import Any

import pytest
from looks import RUNS, Exhibit, Looks, measured_run
from rank_test import Criterion, Statistics
from traffic_looks import criteria

from sim.experiment import Experiment, Server, TraceRow, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.worker_class import WorkerClass
from sim.model.simulation import predict
from sim.run import OK, RESET, Run

GTHREAD = Server(workers=2, threads=2, worker_class="gthread", preload_app=True)
ALONE = replace(GTHREAD, workers=1)
SYNC = Server(workers=2, preload_app=True)


def _experiment(server: Server, connection: str = "new", **traffic: Any) -> Experiment:  # noqa: ANN401
    parsed = {
        key: Distribution.parse(value) if ":" in str(value) else value
        for key, value in traffic.items()
    }
    return Experiment(
        server=server,
        traffic=Traffic(connection=connection, **parsed),  # type: ignore[arg-type]
        seed=3,
        replications=1,
    )


def _kept(server: Server, **traffic: Any) -> Experiment:  # noqa: ANN401
    return _experiment(server, "keepalive", drain=4.0, **traffic)


def _slow(server: Server, rate: float, connection: str = "new", **slow: str | bool) -> Experiment:
    return _experiment(
        server, connection, rate=rate, duration=4.0, io="const:0.02", drain=15.0, **slow
    )


EXPERIMENTS = {
    "kept": _kept(ALONE, rate=25.0, duration=8.0, io="exp:0.05"),
    "kept, one idle at most": _kept(
        replace(GTHREAD, worker_connections=3), rate=40.0, duration=8.0, io="exp:0.05"
    ),
    "kept by users": _kept(
        ALONE, arrivals="closed", users=4, think="exp:0.1", duration=8.0, io="exp:0.05"
    ),
    "sync keeps none": _kept(
        replace(SYNC, workers=4),
        arrivals="closed",
        users=8,
        think="exp:0.1",
        duration=6.0,
        io="exp:0.05",
    ),
    "readers hold the main thread": _slow(GTHREAD, 5.0, read="const:0.3"),
    "readers hold the main thread for 2 s at most": _slow(GTHREAD, 1.5, read="const:3.0"),
    "readers hold sync workers": _slow(SYNC, 4.0, read="const:0.3"),
    "readers hold nobody whose connection is kept": _slow(
        ALONE, 6.0, "keepalive", read="const:0.3"
    ),
    "bodies hold threads": _slow(ALONE, 6.0, body="const:0.3"),
    "bodies hold threads of kept connections": _slow(ALONE, 6.0, "keepalive", body="const:0.3"),
    "bodies hold sync workers": _slow(SYNC, 4.0, body="bimodal:0.5,0,0.6"),
    "unread bodies hold sync workers": _slow(SYNC, 4.0, body="const:0.3", reads_body=False),
    "unread bodies hold the main thread": _slow(ALONE, 4.0, body="const:0.3", reads_body=False),
    "unread bodies hold threads": _slow(
        ALONE, 6.0, "keepalive", body="const:0.3", reads_body=False
    ),
    "unread bodies hold threads for 5 s at most": _slow(
        ALONE, 1.0, "keepalive", body="const:6.0", reads_body=False
    ),
    "slow in everything": _slow(
        GTHREAD, 4.0, first_byte="const:0.3", body="const:0.2", read="const:0.2"
    ),
}


#: Every request comes in the very moment in which its connection expires.
RACE = "users who think as long as keepalive"
RACES = {
    RACE: _kept(
        replace(ALONE, threads=4),
        arrivals="closed",
        users=30,
        think="const:2.0",
        duration=13.0,
        io="const:0.002",
    )
}


#: The race is one of microseconds, so the hour's costs decide how often it is lost: a factor of two
#: is the model's error.
RESETS: Criterion[Run] = Criterion(
    lambda run: Statistics(values={"log2 of resets": log2(1 + run.requests.outcome.count(RESET))}),
    lambda *_: 1.0,
)

EXHIBIT = Exhibit(
    RUNS,
    {**RACES, **EXPERIMENTS},
    lambda name: (lambda _: RESETS) if name in RACES else criteria,
)


#: A loop computes from 0.9 to 1.9 s for one of two kept connections. The timer of the other is due
#: at 1 s, and its request comes at 1.5.
LATE_TIMER = ((0.0, 0.0, 0.0), (0.0, 0.01, 0.0), (0.9, 0.0, 1.0), (1.5, 0.0, 0.0))


@pytest.mark.parametrize(("worker_class", "last"), [("uvicorn", OK), ("asgi", RESET)])
def test_a_request_that_came_after_the_timer_was_due(worker_class: WorkerClass, last: int) -> None:
    experiment = Experiment(
        Server(worker_class=worker_class, keepalive=1, preload_app=True),
        traffic=Traffic(
            arrivals="trace",
            trace=tuple(TraceRow(*row) for row in LATE_TIMER),
            connection="keepalive",
        ),
        replications=1,
    )
    for run in (predict(experiment), measured_run(experiment)):
        assert list(run.requests.outcome) == [OK, OK, OK, last]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_connections_are_as_predicted(name: str, looks: Looks[Run]) -> None:
    assert looks.differs(name) is None


def test_requests_that_meet_the_end_of_keepalive_are_reset(looks: Looks[Run]) -> None:
    assert looks.differs(RACE) is None
