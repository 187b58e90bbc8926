"""Which worker gets a request, in no turn, and that it waits with the worker that accepted it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise
from typing import Any

import psutil
import pytest
from plain_gunicorn import get_json
from waiting import wait_for

from reference_app.rig.releases import Gunicorn
from reference_app.rig.server import RunningServer, running_server
from sim.experiment import Experiment, Server

SERVER = Server(workers=2, threads=2, preload_app=True)


@pytest.fixture(scope="module")
def server(gunicorn: Gunicorn) -> Iterator[RunningServer]:
    with running_server(Experiment(SERVER), gunicorn=gunicorn) as server:
        yield server


def at_once(server: RunningServer, number: int, io: float) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(lambda _: get_json(server.port, f"/work?io={io}"), range(number)))


def most_at_a_time(answers: Sequence[dict[str, Any]]) -> int:
    steps = [(answer["started"], 1) for answer in answers]
    steps += [(answer["ended"], -1) for answer in answers]
    return max(accumulate(change for _, change in sorted(steps)))


def test_requests_are_not_dealt_in_turns(server: RunningServer) -> None:
    pids = []
    for _ in range(60):
        pids.append(get_json(server.port, "/work")["pid"])
        time.sleep(0.005)  # Both workers are idle again.
    assert any(one == other for one, other in pairwise(pids))


def test_no_more_requests_run_than_there_are_threads(server: RunningServer) -> None:
    answers = at_once(server, 12, 0.1)
    assert 2 <= most_at_a_time(answers) <= 4
    for pid in server.workers().values():
        assert most_at_a_time([a for a in answers if a["pid"] == pid] or answers[:1]) <= 2


def test_a_waiting_request_stays_with_its_worker(server: RunningServer) -> None:
    first, second = server.workers().values()
    os.kill(second, signal.SIGSTOP)
    try:
        wait_for(lambda: psutil.Process(second).status() == psutil.STATUS_STOPPED)
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(get_json, server.port, "/work?io=0.4") for _ in range(4)]
            wait_for(lambda: connections_of(first, server.port) == 4)
            os.kill(second, signal.SIGCONT)
            # From here on the second worker has two idle threads, and nothing to do.
            wait_for(lambda: psutil.Process(second).status() == psutil.STATUS_SLEEPING)
            continued = time.monotonic()
            assert connections_of(second, server.port) == 0
            answers = [answer.result() for answer in asked]
    finally:
        os.kill(second, signal.SIGCONT)
    assert {answer["pid"] for answer in answers} == {first}
    assert most_at_a_time(answers) == 2
    assert sum(answer["started"] > continued + 0.1 for answer in answers) == 2


def connections_of(pid: int, port: int) -> int:
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == port
        for connection in psutil.Process(pid).net_connections("tcp4")
    )
