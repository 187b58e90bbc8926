"""Holds Unix sockets against the real server: the same trace, the same requests refused."""

from __future__ import annotations

import errno
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from outcomes import outcomes

from reference_app.rig.measure import measure
from reference_app.rig.server import running_server
from sim.experiment import Experiment, Server, TraceRow, Traffic
from sim.experiment.disturbance import Signal
from sim.model.simulation import predict

SYNC = Server(bind="unix:/run/g.sock", backlog=2, preload_app=True)
GTHREAD = replace(SYNC, worker_class="gthread", threads=2, worker_connections=2, backlog=1)

#: s of each request; no two things that matter happen within 40 ms of each other.
SECONDS = 0.3

#: s at which requests come in a burst: one or two are served, some wait, for the rest is no room.
BURST = (0.0, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2)

#: s from one burst to the next, by when the worker is idle again.
LATER = 1.4


def bursts(server: Server, number: int, **traffic: int | float) -> Experiment:
    """As many bursts, and SIGTERM to the master in the middle of the last."""
    times = [LATER * burst + time for burst in range(number) for time in BURST]
    trace = tuple(TraceRow(time, SECONDS, 0.0) for time in times)
    return Experiment(
        server,
        traffic=Traffic(arrivals="trace", trace=trace, drain=5.0, **traffic),  # type: ignore[arg-type]
        disturbances=(Signal(LATER * (number - 1) + 0.05, "TERM", to="master"),),
        replications=1,
    )


@pytest.mark.parametrize("server", [SYNC, GTHREAD], ids=["sync", "gthread"])
def test_the_same_requests_are_refused(server: Server) -> None:
    asked = bursts(server, 2)
    found, expected = measure(asked, 0, lambda *_: None), predict(asked)
    assert outcomes(found) == outcomes(expected)
    # After SIGTERM the path is gone, and the request that runs is answered all the same.
    assert outcomes(found) == 4 * ["ok"] + 3 * ["refused"] + ["ok"] + 6 * ["refused"]
    assert all(row.latency < 0.04 for row in found.requests if row.outcome == "refused")


def test_clients_that_were_refused_try_again() -> None:
    asked = replace(bursts(SYNC, 1, retries=2, retry_delay=0.7), disturbances=())
    found, expected = measure(asked, 0, lambda *_: None), predict(asked)
    assert outcomes(found) == outcomes(expected) == ["ok"] * len(BURST)
    for one, other in zip(found.requests, expected.requests, strict=True):
        assert one.latency == pytest.approx(other.latency, abs=0.1)


def test_nobody_accepts_and_the_kernel_holds_one_more_than_the_backlog() -> None:
    with running_server(Experiment(replace(SYNC, backlog=1))) as server:
        assert isinstance(server.address, str)
        for process in server.living_workers().values():
            process.suspend()
        clients = [socket.socket(socket.AF_UNIX) for _ in range(8)]
        for client in clients:
            client.setblocking(False)
        results = [client.connect_ex(server.address) for client in clients]
        assert results == [0] * 2 + [errno.EAGAIN] * 6
        for process in server.living_workers().values():
            process.resume()
        for client in clients:
            client.close()
    assert not Path(server.address).parent.exists()
