"""A real server on one core, whose clients have others, and what the model says of it.

Goal: ``--clients remote --cores 1`` measures what it says. Method: the cores that processes may
use, and two workers that compute side by side, which is twice as slow where they share a core.
Skipped where the machine has one core itself.
"""

from __future__ import annotations

import os
from dataclasses import replace

import psutil
import pytest

from reference_app.rig.measure import measure
from reference_app.rig.pinning import pinning
from reference_app.rig.server import running_server
from sim.analysis.summary import Summary, summarize
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict

COMPUTING = Experiment(
    Server(workers=2, preload_app=True),
    Host(cores=1, clients="remote"),
    Traffic(
        arrivals="closed",
        users=2,
        requests=40,
        think=Distribution("const", (0.0,)),
        io=Distribution("const", (0.0,)),
        cpu=Distribution("const", (0.05,)),
    ),
)

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="the clients need a core besides the server's"
)


def throughput(summary: Summary) -> float:
    assert summary.throughput is not None
    return summary.throughput.value


def test_the_server_is_on_one_core_and_its_clients_on_the_others() -> None:
    pinned = pinning(COMPUTING.host)
    assert pinned is not None
    assert len(pinned.server) == 1
    assert pinned.server | pinned.clients == os.sched_getaffinity(0)
    assert not pinned.server & pinned.clients
    with running_server(COMPUTING) as server:
        cores = {frozenset(psutil.Process(pid).cpu_affinity()) for pid in server.pids()}
    assert cores == {pinned.server}


def test_local_clients_and_hosts_as_large_as_the_machine_run_anywhere() -> None:
    assert pinning(replace(COMPUTING.host, clients="local")) is None
    assert pinning(replace(COMPUTING.host, cores=len(os.sched_getaffinity(0)))) is None


def test_two_workers_that_compute_share_the_core() -> None:
    measured = throughput(summarize([measure(COMPUTING, 0, lambda *_: None)]))
    predicted = throughput(summarize([predict(COMPUTING)]))
    elsewhere = replace(COMPUTING, host=Host(cores=2, clients="remote"))
    # 50 ms each: less than 20 a second on one core, and some 38 on two.
    assert measured < 1 / 0.05
    assert 17 < predicted < 1 / 0.05
    assert throughput(summarize([predict(elsewhere)])) > 1.5 * predicted
