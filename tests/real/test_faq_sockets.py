"""Who binds, who listens, who accepts, who answers: looked up in /proc of a real Gunicorn."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import psutil
import pytest
from descriptors import descriptors
from plain_gunicorn import get, get_json
from waiting import wait_for

from reference_app.rig.releases import Gunicorn
from reference_app.rig.server import RunningServer, running_server
from sim.experiment import Experiment, Server
from sim.experiment.release import release

SERVER = Server(workers=2, threads=2, preload_app=True)

#: State of a socket that listens, in /proc/net/tcp.
LISTEN = "0A"


def sockets_of(pid: int) -> set[str]:
    """Inodes of the sockets that a process has open."""
    return {
        name.removeprefix("socket:[").removesuffix("]")
        for _, name in descriptors(pid)
        if name.startswith("socket:[")
    }


def listening_at(port: int) -> dict[str, int]:
    """Inodes of the sockets that listen at a port, and how many connections wait in each."""
    found = {}
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        if words[3] == LISTEN and int(words[1].partition(":")[2], 16) == port:
            found[words[9]] = int(words[4].partition(":")[2], 16)
    return found


def owners_of_connections(server: RunningServer) -> dict[int, int]:
    """Number of established connections of clients, by the pid that has them open."""
    pids = [server.master_pid, *server.workers().values()]
    return {
        pid: sum(
            connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == server.port
            for connection in psutil.Process(pid).net_connections("tcp4")
        )
        for pid in pids
    }


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Processes that do nothing at all in the meantime."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for pid in pids:
            wait_for(lambda pid=pid: psutil.Process(pid).status() == psutil.STATUS_STOPPED)  # type: ignore[misc]
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def server(gunicorn: Gunicorn) -> Iterator[RunningServer]:
    with running_server(Experiment(SERVER), gunicorn=gunicorn) as server:
        yield server


def test_master_and_workers_hold_one_listening_socket(server: RunningServer) -> None:
    (inode,) = listening_at(server.port)
    pids = [server.master_pid, *server.workers().values()]
    assert len(pids) == 3
    assert all(inode in sockets_of(pid) for pid in pids)


def test_with_reuse_port_each_worker_has_a_socket_of_its_own(gunicorn: Gunicorn) -> None:
    """Since Gunicorn 24; before, it is one socket that the workers inherit."""
    experiment = Experiment(Server(workers=2, reuse_port=True, preload_app=True))
    with running_server(experiment, gunicorn=gunicorn) as server:
        inodes = set(listening_at(server.port))
        held = [inodes & sockets_of(pid) for pid in server.workers().values()]
        if release(gunicorn.release).reuse_port == "inherited":
            assert len(inodes) == 1
            assert [inodes] * 2 == held
            assert inodes <= sockets_of(server.master_pid)
            return
        assert len(inodes) == 2
        assert not inodes & sockets_of(server.master_pid)
        assert [len(each) for each in held] == [1, 1]
        assert held[0] != held[1]


def test_a_connection_belongs_to_the_worker_that_answers(server: RunningServer) -> None:
    before = owners_of_connections(server)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /work?io=0.3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        wait_for(lambda: owners_of_connections(server) != before)
        after = owners_of_connections(server)
        (owner,) = (pid for pid in after if after[pid] != before[pid])
        answer = client.makefile("rb").read().decode()
    assert owner in server.workers().values()
    assert f'"pid": {owner}' in answer
    assert after[server.master_pid] == 0


def test_a_stopped_master_is_not_missed(server: RunningServer) -> None:
    with stopped(server.master_pid):
        pids = {get_json(server.port, "/work")["pid"] for _ in range(40)}
    assert pids <= set(server.workers().values())


def test_while_no_worker_accepts_connections_wait_in_the_kernel(server: RunningServer) -> None:
    (inode,) = listening_at(server.port)
    with stopped(*server.workers().values()):
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
        for client in clients:
            client.sendall(b"GET /work HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        # The handshakes are done and the requests sent, and the master has taken none of them.
        assert listening_at(server.port) == {inode: 3}
        assert sum(owners_of_connections(server).values()) == 0
    for client in clients:
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 200")
        client.close()


def test_master_and_worker_share_no_pipe_and_no_unix_socket(
    server: RunningServer, gunicorn: Gunicorn
) -> None:
    def channels(pid: int) -> set[str]:
        return {name for _, name in descriptors(pid) if name.startswith(("pipe:", "socket:"))}

    (inode,) = listening_at(server.port)
    # Where the log goes is none either: the rig gives them a file. Before Gunicorn 24 workers
    # inherit the pipe by which the master's signal handlers wake it, and do not use it.
    inherited = release(gunicorn.release).sigchld == "in the handler"
    for pid in server.workers().values():
        both = channels(server.master_pid) & channels(pid)
        pipes = {link for link in both if link.startswith("pipe:")}
        assert both - pipes == {f"socket:[{inode}]"}
        assert len(pipes) == inherited


def heartbeats(pid: int) -> dict[str, float]:
    """Times of the open temporary files of workers, by their deleted names."""
    return {
        name: link.stat().st_mtime
        for link, name in descriptors(pid)
        if "wgunicorn-" in name and name.endswith(" (deleted)")
    }


def test_a_heartbeat_is_the_time_of_a_file_that_both_have_open(server: RunningServer) -> None:
    seen_by_master = heartbeats(server.master_pid)
    assert len(seen_by_master) == 2
    files = [heartbeats(pid) for pid in server.workers().values()]
    assert [len(file) for file in files] == [1, 1]
    assert {name for file in files for name in file} == set(seen_by_master)
    # The clock is the monotonic one, and no beat is much older than a second.
    assert all(0 <= time.monotonic() - beat < 2 for beat in seen_by_master.values())


def test_more_connections_are_held_than_there_are_threads(server: RunningServer) -> None:
    first, second = server.workers().values()
    with stopped(second):
        threads = [Thread(target=get, args=(server.port, "/work?io=0.4")) for _ in range(6)]
        for thread in threads:
            thread.start()
        wait_for(lambda: owners_of_connections(server)[first] == 6)
    for thread in threads:
        thread.join()
