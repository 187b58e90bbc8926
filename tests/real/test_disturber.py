"""What the rig does to the real server: traps, signals, flags; and nothing is left of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from own_processes import OwnProcesses
from waiting import wait_for

from reference_app.rig.disturber import disturber
from reference_app.rig.gunicorn_log import log_lines, process_events, worker_pids
from reference_app.rig.measure import measure
from reference_app.rig.server import running_server
from reference_app.rig.traps import MOST, TrapBoard
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import BootError, Crash, Disturbance, Hang, Rate, Signal

ROOT = Path(__file__).resolve().parents[2]
SERVER = Server(workers=2, threads=2, preload_app=True)
TRAFFIC = Traffic(rate=40.0, duration=1.5, io=Distribution("exp", (0.02,)), drain=0.5)


@pytest.fixture
def own(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnProcesses]:
    """The processes of this test, whose temporary files are in a directory of their own."""
    with tempfile.TemporaryDirectory() as directory:
        monkeypatch.setenv("TMPDIR", directory)
        monkeypatch.setattr(tempfile, "tempdir", directory)
        yield OwnProcesses(request.node.nodeid, monkeypatch)


def temporary_files() -> list[Path]:
    return list(Path(tempfile.gettempdir()).iterdir())


def open_files() -> int:
    return int(psutil.Process().num_fds())


# --- traps ---------------------------------------------------------------------------------------


@pytest.fixture
def board() -> Iterator[TrapBoard]:
    board = TrapBoard.create()
    yield board
    board.close()


def test_a_trap_springs_for_its_worker_and_as_often_as_it_is_set(board: TrapBoard) -> None:
    assert board.spring(7) == (False, 0.0)
    board.set_hang(7, 2, 1.5)
    board.set_crash(8)
    assert board.spring(9) == (False, 0.0)
    assert [board.spring(7) for _ in range(3)] == [(False, 1.5), (False, 1.5), (False, 0.0)]
    assert [board.spring(8) for _ in range(2)] == [(True, 0.0), (False, 0.0)]


def test_both_sides_see_one_page(board: TrapBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNICORN_RIG_TRAPS", str(os.dup(board.fd)))
    other = TrapBoard.attach()
    try:
        assert other.boot_error() == 0
        board.set_boot_error(4)
        board.set_hang(7, 1, 0.5)
        assert other.boot_error() == 4
        assert other.spring(7) == (False, 0.5)
        assert board.spring(7) == (False, 0.0)
    finally:
        other.close()


def test_a_page_holds_as_many_traps_as_an_experiment_has_disturbances(board: TrapBoard) -> None:
    for worker in range(MOST):
        board.set_crash(worker)
    assert all(board.spring(worker) == (True, 0.0) for worker in range(MOST))


def test_a_service_without_traps_knows_of_none() -> None:
    with running_server(Experiment(SERVER)) as server:
        process = psutil.Process(server.master_pid)
        assert server.traps is None
        assert "GUNICORN_RIG_TRAPS" not in process.environ()
        assert process.cmdline()[-1] == "reference_app.app:app"


# --- the log of two masters ----------------------------------------------------------------------

UPGRADE = """\
1.000000 [10] [INFO] Listening at: http://127.0.0.1:8000 (10)
1.100000 [11] [INFO] Worker 1 forked (pid: 11, master: 10)
1.200000 [10] [INFO] Handling signal: usr2
1.500000 [20] [INFO] Listening at: http://127.0.0.1:8000 (20)
1.620000 [21] [INFO] Worker 2 forked (pid: 21, master: 20)
1.610000 [22] [INFO] Worker 1 forked (pid: 22, master: 20)
1.700000 [10] [INFO] Handling signal: term
1.800000 [10] [ERROR] Worker (pid:11) exited with code 3.
1.800100 [10] [INFO] Worker 1 reaped (pid: 11)
1.900000 [10] [ERROR] Shutting down: Master
1.900100 [10] [ERROR] Reason: Worker failed to boot.
2.000000 [20] [INFO] Master has been promoted.
2.100000 [22] [INFO] Parent changed, shutting down: <Worker 22>
"""


def test_the_workers_of_a_second_master_are_counted_on() -> None:
    lines = log_lines(UPGRADE)
    assert worker_pids(lines) == {1: 11, 2: 22, 3: 21}
    assert [(event.kind, event.process) for event in process_events(lines)] == [
        ("listening", "master"),
        ("fork", "worker 1"),
        ("signal usr2", "master"),
        ("listening", "master 2"),
        ("fork", "worker 2"),
        ("fork", "worker 3"),
        ("signal term", "master"),
        ("exit", "worker 1"),
        ("shutdown", "master"),
        ("halt", "master"),
        ("promoted", "master 2"),
        ("orphaned", "worker 2"),
    ]


# --- nothing is left -----------------------------------------------------------------------------


def test_a_signal_to_all_processes_reaches_masters_and_workers() -> None:
    disturbances = (Hang(0.2, worker=1, threads=2), Signal(0.7, "KILL", "all"))
    with running_server(Experiment(SERVER, disturbances=disturbances)) as server:
        pids = server.pids()
        assert pids[0] == server.master_pid
        assert sorted(pids[1:]) == sorted(server.workers().values())
        with disturber((Signal(0.0, "KILL", "all"),), server) as disturbing:
            disturbing.begin(time.monotonic())
            wait_for(lambda: not server.pids())
    assert [event.process for event in disturbing.events] == ["all processes"]


def most_of(own: OwnProcesses, over: threading.Event) -> int:
    """Most processes that live at the same time, until it is ``over``."""
    most = 0
    while not over.wait(0.02):
        most = max(most, len(own.pids()))
    return most


@pytest.mark.parametrize(
    "disturbances",
    [
        (Signal(0.5, "STOP"),),
        (Hang(0.2, worker=1, threads=2), Signal(0.7, "KILL", "master")),
        (Signal(0.2, "USR2", "master"), Signal(1.2, "KILL", "master")),
        (BootError(0.2, exit_code=4), Crash(0.3)),
        (Hang(0.2, worker=1, threads=2), Rate(0.5, 0.0), Signal(0.7, "KILL", "all")),
    ],
    ids=["stopped worker", "orphans that hang", "second master", "halted server", "killed pod"],
)
def test_nothing_is_left(disturbances: tuple[Disturbance, ...], own: OwnProcesses) -> None:
    before = open_files()
    experiment = Experiment(SERVER, traffic=TRAFFIC, disturbances=disturbances)
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(most_of, own, over)
        try:
            run = measure(experiment, 0, lambda *_: None)
        finally:
            over.set()
    # Master, workers and load generator were found while they lived.
    assert watching.result() >= 4
    assert (own.pids(), temporary_files(), open_files()) == (set(), [], before)
    done = [event for event in run.events if event.kind in {d.event().kind for d in disturbances}]
    assert [event.process for event in done] == [d.event().process for d in disturbances]
    for event, disturbance in zip(done, disturbances, strict=True):
        # By half a second only, beside other tests; test_trouble.py holds each to 100 ms.
        assert disturbance.at <= event.time < disturbance.at + 0.5


def test_ctrl_c_in_the_middle_of_trouble_leaves_nothing(own: OwnProcesses) -> None:
    program = """if True:
        from reference_app.rig.measure import measure
        from sim.experiment.disturbance import Hang, Signal
        from sim.experiment import Experiment, Server, Traffic
        trouble = Hang(0.0, threads=2), Signal(0.3, "STOP"), Signal(50.0, "TERM", "master")
        experiment = Experiment(
            Server(workers=2, threads=2), traffic=Traffic(duration=60.0), disturbances=trouble
        )
        measure(experiment, 0, lambda *_: print(flush=True))
    """
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as rig:
        try:
            assert rig.stdout is not None
            assert rig.stdout.readline()
            time.sleep(0.5)
            # The rig, the master, its workers and the load generator.
            assert len(own.pids()) >= 5
            rig.send_signal(signal.SIGINT)
            interrupted = time.monotonic()
            rig.wait(10)
        finally:
            rig.kill()
    assert time.monotonic() - interrupted < 3.0
    assert own.pids() == set()


# --- SIGUSR2 and how Gunicorn was started ---------------------------------------------------------


def test_sigusr2_starts_no_second_master_under_python_m(tmp_path: Path) -> None:
    """The second master would run gunicorn/__main__.py, and import Gunicorn's http as Python's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    with log.open("wb") as output:
        master = psutil.Popen(
            [*command, "--preload", "--no-control-socket", "reference_app.app:app"],
            cwd=ROOT,
            env={**os.environ, "LAUNCHDARKLY_OFFLINE": "1"},
            stderr=output,
        )
        try:
            wait_for(lambda: "Booting worker" in log.read_text())
            master.send_signal(signal.SIGUSR2)
            wait_for(lambda: "No module named 'http." in log.read_text())
            assert log.read_text().count("Listening at") == 1
        finally:
            master.terminate()
            master.wait(10)


# --- LaunchDarkly without postfork() -------------------------------------------------------------


def flags_of(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/flags?user=alice")
        answer = json.loads(connection.getresponse().read())
        value = answer["flags"]["new-checkout"]["value"]
        assert isinstance(value, bool)
        return value
    finally:
        connection.close()


@pytest.mark.parametrize("postfork", [True, False])
def test_flags_freeze_in_a_worker_that_never_called_postfork(postfork: bool) -> None:
    launchdarkly = LaunchDarkly(enabled=True, latency=0.0, postfork=postfork)
    server_settings = Server(workers=1, threads=2, worker_class="gthread", preload_app=True)
    with running_server(Experiment(server_settings, launchdarkly=launchdarkly)) as server:
        service = server.flag_service
        assert service is not None
        assert flags_of(server.port) is True
        service.change(flags={"new-checkout": False})
        if postfork:
            wait_for(lambda: flags_of(server.port) is False)
        else:
            # The master's stream has it by now; the worker has the master's flags of the fork.
            time.sleep(1.0)
            assert flags_of(server.port) is True
        kinds = [event.kind for event in server.events()]
        assert ("postfork" in kinds) is postfork
        assert service.status()["streams"] == 1 + postfork
        # The client sends its events every 5 s (`Config(flush_interval=)`).
        if postfork:
            wait_for(lambda: service.status()["events"] > 0)
        else:
            time.sleep(6.0)
            assert service.status()["events"] == 0
