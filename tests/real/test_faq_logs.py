"""What Gunicorn's own log says of a start, of an end and of trouble, and what it does not say."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from http.client import RemoteDisconnected
from pathlib import Path
from sysconfig import get_path

import pytest
from plain_gunicorn import PlainGunicorn, get_json, plain_gunicorn
from waiting import wait_for

from reference_app.rig.releases import Gunicorn
from site_docs.runs.page_experiments import FAQ_RELEASE

#: Answers who it is; `/hang` answers after a while, `/crash` never.
APPLICATION = """
import json, os, time
def app(environ, start_response):
    time.sleep(4 if environ["PATH_INFO"] == "/hang" else 0)
    if environ["PATH_INFO"] == "/crash":
        os._exit(7)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"pid": os.getpid()}).encode()]
"""

LINE = re.compile(r"\[[-\d]+ [:\d]+ [+-]\d{4}\] \[(\d+)\] \[([A-Z]+)\] (.*)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plain.py").write_text(APPLICATION, encoding="utf-8")
    return tmp_path


def lines_of(server: PlainGunicorn) -> list[tuple[int, str, str]]:
    """(pid, level, message) of each line of the log."""
    found = (LINE.fullmatch(line) for line in server.log().splitlines())
    return [(int(line[1]), line[2], line[3]) for line in found if line]


def test_the_log_of_a_start_and_of_an_end(folder: Path, gunicorn: Gunicorn) -> None:
    with plain_gunicorn(
        folder, "plain:app", "--workers", "2", "--threads", "2", gunicorn=gunicorn
    ) as server:
        server.wait_for_log("Booting worker", times=2)
        master = server.master.pid
        workers = [process.pid for process in server.workers()]
        booting = [(pid, "INFO", f"Booting worker with pid: {pid}") for pid in workers]
        lines = lines_of(server)
        assert lines[:3] == [
            (master, "INFO", f"Starting gunicorn {gunicorn.release}"),
            (master, "INFO", f"Listening at: http://127.0.0.1:{server.port} ({master})"),
            (master, "INFO", "Using worker: gthread"),
        ]
        assert sorted(lines[3:5]) == sorted(booting)
        for _ in range(20):
            get_json(server.port, "/")
        # No line tells of a request: `accesslog` is None unless somebody sets it.
        assert lines_of(server) == lines

        server.master.send_signal(signal.SIGTERM)
        server.master.wait(10)
        assert (master, "INFO", "Handling signal: term") in lines_of(server)
        assert lines_of(server)[-1] == (master, "INFO", "Shutting down: Master")


def test_a_worker_that_is_late_is_critical(folder: Path, gunicorn: Gunicorn) -> None:
    with plain_gunicorn(folder, "plain:app", "--timeout", "1", gunicorn=gunicorn) as server:
        (worker,) = server.workers()
        status, _ = server.get("/hang")
        assert status == 500
        server.wait_for_log("Booting worker", times=2)
        lines = lines_of(server)
        assert (server.master.pid, "CRITICAL", f"WORKER TIMEOUT (pid:{worker.pid})") in lines
        assert not [line for line in lines if line[2].startswith("Worker timeout")]
        request = "/hang" if gunicorn.release == FAQ_RELEASE else "GET /hang"
        assert (worker.pid, "ERROR", f"Error handling request {request}") in lines
        # The request's error handling takes the abort's exception, so the worker ends as usual.
        assert (worker.pid, "INFO", f"Worker exiting (pid: {worker.pid})") in lines
        assert not [line for line in lines if "exited with code" in line[2]]


def test_a_killed_worker_is_an_error(folder: Path, gunicorn: Gunicorn) -> None:
    with plain_gunicorn(folder, "plain:app", gunicorn=gunicorn) as server:
        (worker,) = server.workers()
        worker.kill()
        server.wait_for_log("Booting worker", times=2)
        said = f"Worker (pid:{worker.pid}) was sent SIGKILL! Perhaps out of memory?"
        assert (server.master.pid, "ERROR", said) in lines_of(server)


def test_a_request_that_crashes_its_worker_is_in_no_access_log(
    folder: Path, gunicorn: Gunicorn
) -> None:
    with plain_gunicorn(folder, "plain:app", "--access-logfile", "-", gunicorn=gunicorn) as server:
        (worker,) = server.workers()
        assert server.get("/fine")[0] == 200
        with pytest.raises((ConnectionError, RemoteDisconnected)):
            server.get("/crash")
        server.wait_for_log("Booting worker", times=2)
        said = f"Worker (pid:{worker.pid}) exited with code 7."
        assert (server.master.pid, "ERROR", said) in lines_of(server)
        server.wait_for_log('"GET /fine HTTP/1.1" 200')
        assert "/crash" not in server.log()


def test_gunicornc_shows_workers_and_their_heartbeats(folder: Path) -> None:
    with plain_gunicorn(folder, "plain:app", "--workers", "2", control=True) as server:
        wait_for((folder / "control").exists)
        gunicornc = [sys.executable, str(Path(get_path("scripts"), "gunicornc"))]
        printed = subprocess.run(
            [*gunicornc, "--socket", str(folder / "control"), "--json", "-c", "show workers"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        shown = json.loads(printed)["workers"]
        assert {worker["pid"] for worker in shown} == {p.pid for p in server.workers()}
        assert all(worker["last_heartbeat"] < 30 for worker in shown)
        # Neither requests nor connections of a worker are known to the master.
        assert not {key for worker in shown for key in worker} & {"requests", "connections"}


def test_a_server_that_halts_says_why(folder: Path, gunicorn: Gunicorn) -> None:
    (folder / "broken.py").write_text("raise RuntimeError('no database')\n", encoding="utf-8")
    with plain_gunicorn(folder, "broken:app", ready=False, gunicorn=gunicorn) as server:
        master = server.master.pid
        assert server.master.wait(10) == 3
        assert lines_of(server)[-2:] == [
            (master, "ERROR", "Shutting down: Master"),
            (master, "ERROR", "Reason: Worker failed to boot."),
        ]
        said = [message for _, _, message in lines_of(server)]
        assert "Exception in worker process" in said
        assert any(re.fullmatch(r"Worker \(pid:\d+\) exited with code 3\.?", each) for each in said)
    # The same is found out before any signal.
    command = [sys.executable, str(Path(get_path("scripts"), "gunicorn"))]
    checked = subprocess.run(
        [*command, "--check-config", "broken:app"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 1
    assert "RuntimeError: no database" in checked.stderr


def test_usr1_opens_the_log_again(folder: Path, gunicorn: Gunicorn) -> None:
    log, moved = folder / "error.log", folder / "error.log.1"
    with plain_gunicorn(
        folder, "plain:app", "--error-logfile", str(log), ready=False, gunicorn=gunicorn
    ) as server:
        wait_for(lambda: log.exists() and "Booting worker" in log.read_text(encoding="utf-8"))
        log.rename(moved)
        server.master.send_signal(signal.SIGUSR1)
        wait_for(log.exists)
        assert "Handling signal: usr1" in moved.read_text(encoding="utf-8")
