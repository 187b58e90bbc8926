"""The rig's server: real Gunicorn as the experiment says, and nothing left of it afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import fields
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from gunicorn.config import Config

from reference_app.rig import server as server_module
from reference_app.rig.gunicorn_log import log_lines, process_events, worker_pids
from reference_app.rig.server import RunningServer, gunicorn_flags, running_server
from sim.errors import ExperimentError
from sim.experiment import Experiment, LaunchDarkly, Server

ROOT = Path(__file__).resolve().parents[2]
SMALL = Experiment(server=Server(workers=2, threads=2, preload_app=True))


def alive(pids: Iterable[int]) -> list[int]:
    found = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found


def assert_gone(pids: Iterable[int], limit: float = 0.0) -> None:
    pids = list(pids)
    deadline = time.monotonic() + limit
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(pids) == []


def pids_of(server: RunningServer) -> list[int]:
    flags = [server.flag_service.pid] if server.flag_service else []
    return [server.master_pid, *flags, *server.workers().values()]


def status_of(port: int) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/work")
        return connection.getresponse().status
    finally:
        connection.close()


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "server",
    [
        Server(),
        Server(
            workers=3,
            threads=5,
            worker_class="gthread",
            worker_connections=7,
            timeout=11,
            graceful_timeout=12,
            keepalive=4,
            backlog=77,
            max_requests=100,
            max_requests_jitter=9,
            preload_app=True,
            reuse_port=True,
        ),
    ],
)
def test_gunicorn_understands_every_setting(server: Server) -> None:
    config = Config()
    parsed = vars(config.parser().parse_args(gunicorn_flags(server)))
    for name, value in parsed.items():
        if value is not None and name != "args":
            config.set(name, value)
    for field in fields(server):
        if field.name in ("bind", "gunicorn", "limit_concurrency"):
            continue  # The rig's own port or path; which Gunicorn to run; no setting of Gunicorn's.
        assert config.settings[field.name].get() == getattr(server, field.name), field.name


# --- life ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reuse_port", [False, True])
@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
def test_a_server_boots_answers_and_leaves_nothing(worker_class: str, *, reuse_port: bool) -> None:
    server = Server(workers=2, worker_class=worker_class, preload_app=True, reuse_port=reuse_port)  # type: ignore[arg-type]
    start = time.monotonic()
    with running_server(Experiment(server=server)) as running:
        ready = time.monotonic()
        pids = pids_of(running)
        assert len(pids) == len(alive(pids)) == 3
        assert status_of(running.port) == 200
        events = running.events(start)
    assert_gone(pids)
    kinds = [(event.kind, event.process) for event in events]
    # With --reuse-port the master has no listening socket.
    assert (("listening", "master") in kinds) is not reuse_port
    for worker in ("worker 1", "worker 2"):
        assert kinds.index(("fork", worker)) < kinds.index(("ready", worker))
    times = [event.time for event in events]
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < ready - start


def test_a_killed_worker_is_replaced_under_a_new_number() -> None:
    with running_server(SMALL) as server:
        os.kill(server.workers()[1], signal.SIGKILL)
        deadline = time.monotonic() + 5
        while ("ready", "worker 3") not in {(e.kind, e.process) for e in server.events()}:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        pids = pids_of(server)
        assert sorted(server.workers()) == [1, 2, 3]
        kinds = [(event.kind, event.process) for event in server.events()]
        assert kinds.index(("exit", "worker 1")) < kinds.index(("fork", "worker 3"))
    assert_gone(pids)


def test_nothing_is_left_after_an_exception() -> None:
    pids: list[int] = []
    experiment = Experiment(server=SMALL.server, launchdarkly=LaunchDarkly(True, 0.0))

    def fail() -> None:
        with running_server(experiment) as server:
            pids.extend(pids_of(server))
            assert len(alive(pids)) == 4
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert_gone(pids)


def test_workers_that_will_not_end_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "STOP", 0.3)
    with running_server(SMALL) as server:
        pids = pids_of(server)
        # One cannot react, and one has lost its master.
        os.kill(server.workers()[2], signal.SIGSTOP)
        os.kill(server.master_pid, signal.SIGKILL)
    assert_gone(pids)


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_rig_dies(death: signal.Signals) -> None:
    program = """if True:
        import time
        from reference_app.rig.server import running_server
        from sim.experiment import Experiment, LaunchDarkly, Server
        experiment = Experiment(
            server=Server(workers=2, threads=2), launchdarkly=LaunchDarkly(True, 0.0)
        )
        with running_server(experiment) as server:
            pids = server.master_pid, server.flag_service.pid, *server.workers().values()
            print(*pids, flush=True)
            time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as rig:
        try:
            assert rig.stdout is not None
            pids = [int(pid) for pid in rig.stdout.readline().split()]
            assert len(alive(pids)) == 4
            rig.send_signal(death)
            rig.wait(10)
        finally:
            rig.kill()
    assert_gone(pids, limit=5.0)


def test_ctrl_c_while_it_boots_ends_everything_at_once() -> None:
    program = """if True:
        from reference_app.rig.server import running_server
        from sim.experiment import Experiment, LaunchDarkly, Server
        no_flags = LaunchDarkly(True, latency=60.0, start_wait=30.0)
        with running_server(Experiment(Server(preload_app=True), launchdarkly=no_flags)):
            pass
    """
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.DEVNULL
    ) as rig:
        process = psutil.Process(rig.pid)
        deadline = time.monotonic() + 10
        try:
            while len(process.children()) < 2:  # The flag service and Gunicorn's master.
                assert time.monotonic() < deadline
                time.sleep(0.05)
            time.sleep(0.3)
            pids = [child.pid for child in process.children(recursive=True)]
            rig.send_signal(signal.SIGINT)
            interrupted = time.monotonic()
            rig.wait(10)
        finally:
            rig.kill()
    assert time.monotonic() - interrupted < 2.0
    assert_gone(pids)


def test_a_server_that_does_not_boot_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(server_module.SERVICES, False, "reference_app.app:missing")
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(ExperimentError) as caught, running_server(SMALL):
        pytest.fail("it cannot have booted")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("Gunicorn exited with ")
    assert "missing" in message
    assert set(psutil.Process().children(recursive=True)) == before


# --- the log -------------------------------------------------------------------------------------

LOG = """\
12.000000 [10] [INFO] Listening at: http://127.0.0.1:8000 (10)
12.200000 [12] [INFO] Worker 2 forked (pid: 12, master: 10)
12.100000 [11] [INFO] Worker 1 forked (pid: 11, master: 10)
Traceback (most recent call last):
12.300000 [11] [INFO] LaunchDarkly postfork() completed successfully in worker 11
12.400000 [11] [INFO] Worker 1 ready (pid: 11)
13.000000 [11] [INFO] Autorestarting worker after current request.
13.100000 [10] [CRITICAL] WORKER TIMEOUT (pid:12)
13.200000 [10] [INFO] Worker 2 reaped (pid: 12)
13.300000 [12] [INFO] Worker 3 forked (pid: 12, master: 10)
13.400000 [10] [INFO] Handling signal: hup
13.500000 [12] [INFO] Worker exiting (pid: 12)
13.600000 [10] [INFO] Worker exiting (pid: 99)
13.700000 [10] [INFO] Shutting down: Mas"""


def test_a_log_becomes_events_by_time_and_boot_order() -> None:
    expected = [
        (2.0, "listening", "master"),
        (2.1, "fork", "worker 1"),
        (2.2, "fork", "worker 2"),
        (2.3, "postfork", "worker 1"),
        (2.4, "ready", "worker 1"),
        (3.0, "max_requests", "worker 1"),
        (3.1, "timeout", "worker 2"),
        (3.2, "exit", "worker 2"),
        (3.3, "fork", "worker 3"),  # With a pid that was used before.
        (3.4, "signal hup", "master"),
        (3.5, "exiting", "worker 3"),
    ]
    events = process_events(log_lines(LOG), start=10.0)
    assert [(round(event.time, 6), event.kind, event.process) for event in events] == expected
    assert worker_pids(log_lines(LOG)) == {1: 11, 2: 12, 3: 12}


def test_a_master_without_a_socket_does_not_listen() -> None:
    assert process_events(log_lines("1.000000 [10] [INFO] Listening at:  (10)\n")) == ()
