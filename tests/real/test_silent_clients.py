"""What Gunicorn logs and does of sync workers whose clients keep them from a heartbeat.

Raw sockets do what the rig's clients do not: send nothing at all, close early, or send on. Each has
a server of one worker. The model says the same of the same client where it can be asked.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest
from plain_gunicorn import PATIENCE
from waiting import wait_for

from reference_app.rig.address import HOST
from reference_app.rig.server import running_server
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from sim.run import ProcessEvent

#: A worker is given up when it has read for a second.
SERVER = Server(timeout=1, preload_app=True)

UPLOAD = b"POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"

#: Bytes that `util.close_graceful()` reads before it closes all the same, and those of one piece.
DRAINED, PIECE = 65536, bytes(16384)

#: What a worker's end is told with.
TOLD = re.compile(
    r"WORKER TIMEOUT|Error handling request|Worker exiting|Worker \(pid:\d+\) (was sent|exited)"
)


#: A level, a message, and s since the first line that is told.
Line = tuple[str, str, float]


def answer(connection: socket.socket) -> bytes:
    """What the server sends until it sends no more."""
    return b"".join(iter(lambda: connection.recv(4096), b""))


def stay_silent(connection: socket.socket) -> None:
    """Send nothing, whatever the server does."""
    assert answer(connection).startswith(b"HTTP/1.1 500 ")


def upload(connection: socket.socket) -> None:
    """Send the head of a request, and nothing of its body."""
    connection.sendall(UPLOAD)
    assert answer(connection).startswith(b"HTTP/1.1 500 ")


def close(connection: socket.socket) -> None:
    """Send nothing, and close when the server does."""
    answer(connection)
    connection.close()


def send_on(connection: socket.socket) -> None:
    """Send the body of a request, for as long as the server's end is open."""
    connection.sendall(UPLOAD)
    answer(connection)
    sent, until = 0, time.monotonic() + PATIENCE
    with suppress(BrokenPipeError, ConnectionResetError):
        while time.monotonic() < until:
            sent += connection.send(PIECE)
            time.sleep(0.02)
    assert time.monotonic() < until, f"{sent} B are sent, and the connection is open"
    assert sent >= DRAINED


#: What one client does.
Client = Callable[[socket.socket], None]

Lines = dict[Client, Future[list[Line]]]


def lines_of(client: Client) -> list[Line]:
    """What the log says of the end of the worker that serves the client."""
    with (
        running_server(Experiment(SERVER)) as server,
        socket.create_connection((HOST, server.port), timeout=PATIENCE) as connection,
    ):
        client(connection)
        wait_for(lambda: len(server.workers()) == 2, "another worker")
        told = [line for line in server.lines() if TOLD.match(line.message)]
        pid = str(server.workers()[1])
    return [(line.level, line.message.replace(pid, "N"), line.time - told[0].time) for line in told]


@pytest.fixture(scope="module")
def lines() -> Iterator[Lines]:
    """The lines of each client's server; all wait at the same time."""
    clients = (stay_silent, upload, close, send_on)
    with ThreadPoolExecutor(len(clients)) as pool:
        yield {client: pool.submit(lines_of, client) for client in clients}


def messages(lines: list[Line]) -> list[tuple[str, str]]:
    """Level and message of each line."""
    return [(level, message) for level, message, _ in lines]


def predicted(**slow: str) -> list[ProcessEvent]:
    """What the model says of the worker whose only client is slow."""
    parsed = {name: Distribution.parse(text) for name, text in slow.items()}
    traffic = Traffic(arrivals="constant", requests=1, **parsed)  # type: ignore[arg-type]
    events = predict(Experiment(SERVER, traffic=traffic)).events
    return [event for event in events if event.process == "worker 1" and event.time > 0]


GIVEN_UP = ("CRITICAL", "WORKER TIMEOUT (pid:N)")
NO_REQUEST = ("ERROR", "Error handling request (no URI read)")
NO_BODY = ("ERROR", "Error handling request POST /work")
KILLED = ("ERROR", "Worker (pid:N) was sent SIGKILL! Perhaps out of memory?")
EXITING = ("INFO", "Worker exiting (pid: N)")


@pytest.mark.parametrize(
    ("client", "error", "slow"),
    [(stay_silent, NO_REQUEST, "first_byte"), (upload, NO_BODY, "body")],
    ids=["silent", "upload"],
)
def test_a_worker_whose_client_stays_is_killed_at_the_next_look(
    client: Client, error: tuple[str, str], slow: str, lines: Lines
) -> None:
    found = lines[client].result()
    assert messages(found) == [GIVEN_UP, error, KILLED]
    given_up, killed = predicted(**{slow: "const:9"})
    assert (given_up.kind, killed.kind) == ("timeout", "exit")
    assert found[-1][2] == pytest.approx(killed.time - given_up.time, abs=0.3)


def test_a_worker_whose_client_closes_ends_by_itself(lines: Lines) -> None:
    # And not "exited with code 1": the exception was caught with the request's.
    assert messages(lines[close].result()) == [GIVEN_UP, NO_REQUEST, EXITING]
    # Of a client that sends just after it was given up.
    given_up, exiting, *_ = predicted(first_byte="const:2.3")
    assert (given_up.kind, exiting.kind) == ("timeout", "exiting")
    assert given_up.time < 2.3 < exiting.time


def test_a_client_that_sends_on_is_cut_off(lines: Lines) -> None:
    found = lines[send_on].result()
    assert messages(found) == [GIVEN_UP, NO_BODY, EXITING]
    assert found[-1][2] < 0.5
