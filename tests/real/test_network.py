"""The rig's network to clients that are far: it delays packets, and leaves nothing behind.

Goal: both ways take half of a round trip, and a connection finds a server at the other end only;
the machine's own network stays as it was, however a rig ends. Method: sockets in both namespaces,
and rigs that fail, are interrupted and are killed. Where no network can be made, tests are skipped,
with why.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from far_network import skip_without_network
from own_processes import OwnProcesses
from waiting import wait_for

from reference_app.rig import network as rig_network
from reference_app.rig.measure import measure
from reference_app.rig.network import CLIENTS, SERVER, Network, enter, network
from sim.errors import ExperimentError
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Signal
from sim.model.simulation import predict
from sim.run import REFUSED, RESET, TIMEOUT

RTT = 1.0

#: s that a command may take; most is Python's and Gunicorn's start.
LIMIT = 60

FAR = Host(clients="remote", rtt=RTT)

MEASURE = [
    *(sys.executable, "-m", "reference_app", "measure", "--workers", "1", "--requests", "1000"),
    *("--clients", "remote", "--rtt", "0.02"),
]

SETPRIV = shutil.which("setpriv")


@pytest.fixture(autouse=True)
def _same_network() -> Iterator[None]:
    """Skip where this machine lets us make no network; else it must have the same one after."""
    skip_without_network()
    before = own_network()
    yield
    assert own_network() == before


def own_network() -> tuple[str, list[tuple[int, str]], set[str]]:
    """This thread's namespace, its devices, and what is open of TUN devices and namespaces."""
    links = {entry.path: os.path.realpath(entry.path) for entry in os.scandir("/proc/self/fd")}
    held = {path for path, target in links.items() if "net:[" in target or "tun" in target}
    return os.path.realpath("/proc/thread-self/ns/net"), socket.if_nameindex(), held


def among_clients(between: Network, do: Callable[[], None]) -> None:
    """Do something in the clients' namespace, in a thread of its own."""

    def inside() -> None:
        enter(between.clients)
        do()

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_a_connection_takes_a_round_trip_and_an_answer_another() -> None:
    took: list[float] = []

    def connect() -> None:
        begin = time.monotonic()
        with socket.create_connection((SERVER, port), LIMIT) as connection:
            took.append(time.monotonic() - begin)
            assert connection.getsockname()[0] == CLIENTS
            connection.sendall(b"?")
            assert connection.recv(1) == b"!"
            took.append(time.monotonic() - begin)

    with network(FAR) as between, socket.create_server((SERVER, 0)) as listener:
        assert between is not None
        port = listener.getsockname()[1]

        def serve() -> None:
            with listener.accept()[0] as accepted:
                assert accepted.recv(1) == b"?"
                accepted.sendall(b"!")

        server = threading.Thread(target=serve)
        server.start()
        among_clients(between, connect)
        server.join(LIMIT)
    # Other tests may have the cores for a moment; nothing makes a packet early.
    assert RTT <= took[0] < RTT + 0.5
    assert 2 * RTT <= took[1] < 2 * RTT + 0.5


def test_all_packets_of_a_large_response_arrive_in_order() -> None:
    sent = bytes(range(256)) * 4096
    received = bytearray()

    def read() -> None:
        with socket.create_connection((SERVER, port), LIMIT) as connection:
            while data := connection.recv(65536):
                received.extend(data)

    with network(replace(FAR, rtt=0.02)) as between, socket.create_server((SERVER, 0)) as listener:
        assert between is not None
        port = listener.getsockname()[1]

        def serve() -> None:
            with listener.accept()[0] as accepted:
                accepted.sendall(sent)

        server = threading.Thread(target=serve)
        server.start()
        among_clients(between, read)
        server.join(LIMIT)
    assert received == sent


def test_the_server_keeps_the_limit_of_the_accept_queue() -> None:
    outside = rig_network._SOMAXCONN.read_text()
    with network(FAR):
        assert rig_network._SOMAXCONN.read_text() == outside


def test_clients_without_a_round_trip_need_no_network() -> None:
    with network(Host(clients="remote", rtt=0.0)) as none:
        assert none is None


def test_clients_that_give_up_before_a_connection_could_be_there() -> None:
    """Half of a round trip short of a connection: no request gets to the application."""
    impatient = Experiment(
        Server(workers=1),
        Host(clients="remote", rtt=1.0),
        Traffic(
            arrivals="constant",
            rate=10.0,
            requests=5,
            io=Distribution("const", (0.0,)),
            timeout=0.5,
        ),
    )
    for run in (measure(impatient, 0, lambda *_: None), predict(impatient)):
        assert set(run.requests.outcome) == {TIMEOUT}
        assert all(worker == 0 for worker in run.requests.worker)


def test_clients_of_a_dead_server_are_refused_after_one_and_reset_after_two() -> None:
    """A SYN that came in time, and whose ACK did not, is a connection that nobody has."""
    rtt, killed = 0.8, 0.9
    experiment = Experiment(
        Server(workers=1),
        Host(clients="remote", rtt=rtt),
        Traffic(arrivals="constant", rate=10.0, requests=10, io=Distribution("const", (0.0,))),
        disturbances=(Signal(at=killed, signal="KILL", to="all"),),
    )
    for run in (measure(experiment, 0, lambda *_: None), predict(experiment)):
        rows = run.requests
        for outcome, begin, end in zip(rows.outcome, rows.arrival, rows.finished, strict=True):
            in_time = killed - rtt / 2 - begin
            if abs(in_time) > 0.15:
                expected, took = (RESET, 2 * rtt) if in_time > 0 else (REFUSED, rtt)
                assert outcome == expected
                assert took - 0.002 < end - begin < took + 0.4


def test_a_block_that_fails_leaves_it() -> None:
    with pytest.raises(ZeroDivisionError), network(FAR):
        _ = 1 / 0


def test_a_relay_that_has_ended_is_an_error(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    own = OwnProcesses(request.node.nodeid, monkeypatch)

    def lose_the_relay() -> None:
        with network(FAR):
            (relay,) = own.pids()
            os.kill(relay, signal.SIGKILL)
            wait_for(lambda: not own.pids(), "the end of the relay")

    with pytest.raises(ExperimentError, match="the relay of packets ended with -9"):
        lose_the_relay()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_rig_that_is_stopped_or_killed_leaves_no_process(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    own = OwnProcesses(request.node.nodeid, monkeypatch)
    with subprocess.Popen(
        MEASURE, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as rig:
        try:
            # The rig, the relay, Gunicorn's master and worker, and the load generator.
            wait_for(lambda: len(own.pids()) >= 5, "the load generator", LIMIT)
            rig.send_signal(number)
            rig.wait(LIMIT)
            wait_for(lambda: not own.pids(), "the end of all processes", LIMIT)
        finally:
            rig.kill()


def test_a_machine_without_tun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig_network, "_TUN", "/dev/net/none")
    with pytest.raises(ExperimentError) as error, network(FAR):
        pass
    assert str(error.value) == (
        "rtt is 1, and no network to the clients can be made here (/dev/net/none: No such file or "
        "directory); expected root, network namespaces and /dev/net/none: python -m sim predicts it"
    )


@pytest.mark.skipif(SETPRIV is None, reason="setpriv(1) drops what root may do")
def test_a_process_that_may_make_no_namespace_is_refused_in_one_line() -> None:
    assert SETPRIV is not None
    refused = subprocess.run(
        [SETPRIV, "--bounding-set", "-sys_admin", *MEASURE],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert refused.returncode == 2
    assert not refused.stdout
    assert refused.stderr.count("\n") == 1
    assert "rtt is 0.02, and no network to the clients can be made here (unshare:" in refused.stderr
