"""Requests whose clients have given up: the application runs them all the same."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from plain_gunicorn import PATIENCE, PlainGunicorn, plain_gunicorn
from waiting import wait_for

from sim.experiment import Experiment, Server, TraceRow, Traffic
from sim.model.simulation import predict

#: Writes a line for each request that it runs; a byte of it, so that no two mix.
APP = """
import os
import time

RUNS = os.open("runs", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def app(environ, start_response):
    if environ["PATH_INFO"] == "/work":
        os.write(RUNS, b".")
        time.sleep(0.3)
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]
"""

#: s after which a client gives up that waits behind the first request.
GIVES_UP = 0.1

#: Clients that do, of six.
ABANDONED = 4

SERVERS = {
    # A sync worker accepts one at a time: the others wait in the kernel's queue.
    "sync, in the kernel's queue": ("-k", "sync"),
    "gthread, in the worker's queue": ("-k", "gthread", "--threads", "1"),
    "gthread with a limit, in the kernel's queue": (
        *("-k", "gthread", "--threads", "1", "--worker-connections", "1"),
    ),
}


def send(server: PlainGunicorn) -> socket.socket:
    """A client that has sent its request."""
    client = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    client.sendall(b"GET /work HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    return client


@pytest.mark.parametrize("flags", SERVERS.values(), ids=SERVERS)
def test_the_application_runs_requests_whose_clients_are_gone(
    flags: Sequence[str], tmp_path: Path
) -> None:
    (tmp_path / "abandoned.py").write_text(APP, encoding="utf-8")
    with plain_gunicorn(tmp_path, "abandoned:app", "--workers", "1", *flags) as server:
        runs = tmp_path / "runs"
        first = send(server)
        wait_for(lambda: runs.stat().st_size == 1, "the first request")
        abandoned = [send(server) for _ in range(ABANDONED)]
        time.sleep(GIVES_UP)
        for client in abandoned:
            client.close()
        assert runs.stat().st_size == 1, "nothing else runs yet"
        last = send(server)
        for client in (first, last):
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            client.close()
        assert runs.stat().st_size == 2 + ABANDONED


@pytest.mark.parametrize(
    "server",
    [
        Server(workers=1),
        Server(workers=1, worker_class="gthread"),
        Server(workers=1, worker_class="gthread", worker_connections=1),
    ],
    ids=SERVERS,
)
def test_the_model_runs_them_too(server: Server) -> None:
    # Who gave up is told nothing, so its row has no start; the next request waits for all of them.
    rows = [TraceRow(0.01 * number, 0.3, 0.0) for number in range(6)]
    traffic = Traffic(arrivals="trace", trace=(*rows, TraceRow(1.75, 0.0, 0.0)), timeout=GIVES_UP)
    requests = list(predict(Experiment(server=server, traffic=traffic)).requests)
    assert [row.outcome for row in requests] == ["timeout"] * 6 + ["ok"]
    assert requests[-1].started == pytest.approx(6 * 0.3, abs=0.03)
