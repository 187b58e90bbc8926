"""Commands that are ended leave nothing; `python -m tests.kills` ends them at random moments."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sim.command import INTERRUPTED, TERMINATED
from tests.kills import remains
from tests.kills.command import ROOT, Command, troubles
from tests.kills.subjects import COMMANDS

#: s that the command may take to its first prediction, beside other load.
PATIENCE = 60.0


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder for sockets, whose paths have 107 bytes at most: pytest's own may be too long."""
    with TemporaryDirectory(prefix="k") as name:
        yield Path(name)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, TERMINATED), (signal.SIGINT, INTERRUPTED)]
)
def test_a_search_that_is_ended_removes_its_temporary_files(
    number: signal.Signals, status: int, tmp_path: Path, short_path: Path
) -> None:
    temporary, results = short_path, tmp_path / "results"
    words = ["sim", "size", "--slo", "p95=250ms", "--rate", "40", "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", *words, "--resume", str(results)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not results.exists() or results.read_bytes().count(b"\n") < 2:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        assert any(temporary.iterdir()), "its processes talk by a socket there"
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (status, "")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("seconds", [0.1, 0.6])
def test_a_prediction_that_is_killed_leaves_no_half_file(seconds: float) -> None:
    assert troubles(COMMANDS["save"], signal.SIGKILL, seconds) == []


#: Starts a process that listens, and forgets it; so it does with its files.
FORGETS = """
import os, signal, socket, sys, tempfile, time
from pathlib import Path
listener = socket.create_server(("127.0.0.1", 0))
os.set_inheritable(listener.fileno(), True)
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
tempfile.mkdtemp()
Path(sys.argv[1] + ".partial").touch()
Path(sys.argv[1]).touch()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
time.sleep(60)
"""


def test_an_end_that_leaves_something_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The campaign itself: a command that forgets a process, its socket and its files."""
    monkeypatch.setattr(remains, "GONE", 0.2)
    script = tmp_path / "forgets.py"
    script.write_text(FORGETS)
    found = troubles(Command(f"{script} FILE", 0.0, lambda _: "cut off"), signal.SIGTERM, 1.0)
    kinds = [trouble.split(":")[0].rstrip("0123456789 ") for trouble in found]
    assert kinds == [
        "its status is",
        "a process runs on",
        "a socket listens at port",
        "a file is left",
        "a file is left",
        "its file",
    ]
