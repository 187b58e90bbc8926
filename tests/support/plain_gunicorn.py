"""Gunicorn as a user starts it: its own log, any application, nothing of the rig."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
from waiting import wait_for

from reference_app.rig.releases import Gunicorn, installed

ROOT = Path(__file__).resolve().parents[2]

#: s that anything may take that is waited for.
PATIENCE = 10.0


def _lives(process: psutil.Process) -> bool:
    """Whether a process has not ended, not even since it was found."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True)
class PlainGunicorn:
    """A running Gunicorn."""

    port: int
    master: psutil.Process
    log_file: Path

    def log(self) -> str:
        """What it has logged so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def workers(self) -> list[psutil.Process]:
        """The master's children, by age."""
        found: list[psutil.Process] = sorted(self.master.children(), key=lambda p: p.create_time())
        return [p for p in found if _lives(p)]

    def get(self, path: str = "/", timeout: float = PATIENCE) -> tuple[int, str]:
        """Status and body of an answer."""
        return get(self.port, path, timeout)

    def wait_for_log(self, words: str, times: int = 1) -> None:
        """Wait until it has logged these words as often as ``times`` says."""
        wait_for(lambda: self.log().count(words) >= times, f"{words!r} in the log")


def get(port: int, path: str, timeout: float = PATIENCE) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def get_json(port: int, path: str) -> dict[str, Any]:
    status, body = get(port, path)
    assert status == 200, body
    answer = json.loads(body)
    assert isinstance(answer, dict)
    return answer


@contextmanager
def plain_gunicorn(
    folder: Path,
    application: str,
    *flags: str,
    ready: bool = True,
    control: bool = False,
    gunicorn: Gunicorn | None = None,
) -> Iterator[PlainGunicorn]:
    """Run Gunicorn in ``folder``; nothing of it is left when the block ends.

    Args:
        folder: working directory, from which the application is imported.
        application: as on Gunicorn's command line.
        flags: more of its command line.
        ready: wait until it has booted a worker.
        control: let it open its control socket, at ``folder / "control"``.
        gunicorn: which to run; this environment's, if None.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "log"
    gunicorn = gunicorn or installed()
    command = [sys.executable, str(gunicorn.script)]
    command += ["--bind", f"127.0.0.1:{port}", *flags]
    command += ["--control-socket", str(folder / "control")] if control else []
    # Releases before 25.1 have none, and refuse the flag.
    has_socket = tuple(map(int, gunicorn.release.split("."))) >= (25, 1)
    command += ["--no-control-socket"] if has_socket and not control else []
    with log.open("wb") as output:
        master = psutil.Popen(
            [*command, application],
            cwd=folder,
            env=_environment(gunicorn.directory),
            stdout=output,
            stderr=output,
        )
    try:
        server = PlainGunicorn(port, psutil.Process(master.pid), log)
        if ready:
            server.wait_for_log("Booting worker")
            wait_for(lambda: _answers(port), "an answer")
        yield server
    finally:
        family: list[psutil.Process] = [master]
        with suppress(psutil.NoSuchProcess):
            family += master.children(recursive=True)
        # The master first, or it would replace its workers.
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        master.wait(PATIENCE)


def _environment(first: Path | None = None) -> dict[str, str]:
    foreign = ("GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "LAUNCHDARKLY_SDK_KEY", "FLAG_SERVICE_URL")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    places = [str(place) for place in (first, ROOT) if place is not None]
    return {**kept, "PYTHONPATH": os.pathsep.join(places), "LAUNCHDARKLY_OFFLINE": "1"}


def _answers(port: int) -> bool:
    try:
        return get(port, "/", 1.0)[0] > 0
    except OSError:
        return False


def run_python(program: str, *arguments: str) -> Sequence[str]:
    """The lines that a Python program prints, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
