"""Clients that are a round trip away, measured and predicted with the same requests.

Goal: what the model adds for a round trip is what a network adds. Method: the rig's network, 50 ms
there and back, and a server that is mostly idle. Gunicorn 27.0.1 is there too for what it makes
longer: its main thread waits for each client to close. Where no network can be made, tests are
skipped, with why.
"""

from __future__ import annotations

import os
from dataclasses import replace
from statistics import fmean, median

import pytest
from far_network import skip_without_network

from reference_app.rig.measure import measure
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from sim.run import OK, Run

RTT, SERVICE = 0.05, 0.021

#: s that mean and median may be off; a round trip is ten times as long.
CLOSE = 0.005

FAR = Experiment(
    Server(worker_class="gthread", threads=4, keepalive=60),
    Host(cores=1, clients="remote", rtt=RTT),
    Traffic(
        rate=8.0,
        requests=20,
        io=Distribution("const", (0.02,)),
        cpu=Distribution("const", (0.001,)),
    ),
)

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="the clients need a core besides the server's"
)


@pytest.fixture(autouse=True)
def _network() -> None:
    skip_without_network()


def latencies(run: Run) -> list[float]:
    rows = run.requests
    assert set(rows.outcome) == {OK}
    return [end - begin for begin, end in zip(rows.arrival, rows.finished, strict=True)]


def both(experiment: Experiment) -> tuple[list[float], list[float]]:
    """Latencies as measured and as predicted (s)."""
    measured = latencies(measure(experiment, 0, lambda *_: None))
    predicted = latencies(predict(experiment))
    assert fmean(measured) == pytest.approx(fmean(predicted), abs=CLOSE)
    return measured, predicted


def test_a_new_connection_takes_two_round_trips() -> None:
    server = replace(FAR.server, gunicorn="23.0.0")
    measured, predicted = both(replace(FAR, server=server))
    assert min(measured) >= 2 * RTT + SERVICE
    assert median(measured) == pytest.approx(2 * RTT + SERVICE, abs=CLOSE)
    assert median(measured) == pytest.approx(median(predicted), abs=CLOSE)


def test_a_kept_connection_takes_one() -> None:
    traffic = replace(FAR.traffic, connection="keepalive")
    measured, predicted = both(replace(FAR, traffic=traffic))
    assert min(measured) >= RTT + SERVICE
    assert median(measured) == pytest.approx(RTT + SERVICE, abs=CLOSE)
    assert median(measured) == pytest.approx(median(predicted), abs=CLOSE)


def test_the_main_thread_waits_for_each_client_to_close() -> None:
    measured, predicted = both(FAR)
    idle = 2 * RTT + SERVICE
    for each in (measured, predicted):
        assert fmean(each) > idle + CLOSE
        assert max(each) < idle + RTT + 2 * CLOSE
