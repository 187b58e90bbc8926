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
from tests.kills import COMMANDS, ROOT, troubles

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


#: Commands with a file, which takes more than the disk has.
WRITING = (
    "--requests 2000 --save FILE",
    "--requests 500 --trace-out FILE",
    "--requests 500 --report FILE",
    "sweep --over workers=1..4 --over threads=1..4 --requests 50 --jobs 1 --resume FILE",
)


@pytest.mark.parametrize("words", WRITING, ids=lambda words: words.split()[-2])
def test_a_full_disk_is_said_in_one_line(words: str, tmp_path: Path) -> None:
    # A limit of 4 KiB to each file is as a disk that is full then.
    script = 'ulimit -f 4; exec "$@"'
    suffix = ".json" if "--trace-out" in words else ".html" if "--report" in words else ""
    file = tmp_path / f"file{suffix}"
    run = [sys.executable, "-m", "sim", *words.replace("FILE", str(file)).split()]
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", *run, "--replications", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"error: {file}: cannot be written (File too large)\n"
    # Only the file of a search may be there, for the next one to go on with.
    assert [path.name for path in tmp_path.iterdir()] == (["file"] if "sweep" in words else [])


@pytest.mark.parametrize("words", WRITING, ids=lambda words: words.split()[-2])
def test_a_folder_that_cannot_be_written_to_is_said_in_one_line(words: str) -> None:
    # Nobody may write there, root neither.
    run = [sys.executable, "-m", "sim", *words.replace("FILE", "/proc/self/file.html").split()]
    done = subprocess.run(
        run, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: /proc/self/file.html: cannot be written (")
    assert done.stderr.count("\n") == 1
