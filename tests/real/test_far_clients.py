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
from looks import Measured, Measurements, measured_run

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

EXPERIMENTS = {
    "a new connection": replace(FAR, server=replace(FAR.server, gunicorn="23.0.0")),
    "a kept connection": replace(FAR, traffic=replace(FAR.traffic, connection="keepalive")),
    "a new connection, closed by the main thread": FAR,
}

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


def off(name: str, run: Run) -> float:
    """How far the mean is from the prediction, s."""
    return abs(fmean(latencies(run)) - fmean(latencies(predict(EXPERIMENTS[name]))))


EXHIBIT = Measurements(
    measured_run, EXPERIMENTS, few=True, surprises=lambda name, run: off(name, run) > CLOSE
)


def both(name: str, measured: Measured[str, Run]) -> tuple[list[float], list[float]]:
    """Latencies of an experiment, as measured and as predicted (s)."""
    assert off(name, measured[name]) <= CLOSE
    return latencies(measured[name]), latencies(predict(EXPERIMENTS[name]))


def test_a_new_connection_takes_two_round_trips(measured: Measured[str, Run]) -> None:
    real, model = both("a new connection", measured)
    assert min(real) >= 2 * RTT + SERVICE
    assert median(real) == pytest.approx(2 * RTT + SERVICE, abs=CLOSE)
    assert median(real) == pytest.approx(median(model), abs=CLOSE)


def test_a_kept_connection_takes_one(measured: Measured[str, Run]) -> None:
    real, model = both("a kept connection", measured)
    assert min(real) >= RTT + SERVICE
    assert median(real) == pytest.approx(RTT + SERVICE, abs=CLOSE)
    assert median(real) == pytest.approx(median(model), abs=CLOSE)


def test_the_main_thread_waits_for_each_client_to_close(measured: Measured[str, Run]) -> None:
    idle = 2 * RTT + SERVICE
    for each in both("a new connection, closed by the main thread", measured):
        assert fmean(each) > idle + CLOSE
        assert max(each) < idle + RTT + 2 * CLOSE
