"""Disks that are full, and folders that take no file: one line each, and no half file.

Goal: nobody loses an hour's work to a full disk without a word of it, nor finds half a file.
Method: a real disk of a few pages, and every command that writes a file.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from small_disk import PAGE, enlarge, protect, small_disk
from small_validation import HOST

import reference_app.cli
import sim.cli
from reference_app.rig.server import RunningServer
from sim.errors import ExperimentError
from sim.experiment import MAX_UNIX_PATH
from sim.reading import trace_file
from sim.reading.recording_file import RecordingFile
from sim.study.executors import SOCKET_NAME, processes, start_method
from sim.validation import rows

ROOT = Path(__file__).parents[2]

#: Command lines that write a file, FILE, at their end.
AT_THE_END = (
    "--requests 500 --save FILE.run",
    "--requests 500 --trace-out FILE.json",
    "--requests 100 --report FILE.html",
    "sweep --over workers=1..4 --over threads=1..8 --requests 20 --jobs 1 --chart FILE.svg",
)

#: Those that do so at their beginning, or write little.
EARLY_OR_LITTLE = (
    "sweep --over workers=1..4 --requests 20 --jobs 1 --resume FILE",
    "size --slo p95=1s --write FILE.py",
    "size --slo p95=1s --report FILE.html",
    "compare old.conf.py new.conf.py --report FILE.html",
    "check old.conf.py --sarif FILE.sarif",
    "fit demand.csv --out FILE.toml",
    "fit demand.csv --chart FILE.svg",
    "backtest --access-log access.log --report FILE.html",
    "reference_app measure --save FILE.run",
    "reference_app compare --trace-out FILE.json",
    "reference_app calibrate --out FILE.toml",
    "reference_app validate FILE.jsonl",
    "reference_app validate rows.jsonl --save DISK",
)


def run(words: str, disk: Path) -> str:
    """Run a command of either command line in this process; the file that it names."""
    given = words.replace("DISK", str(disk)).replace("FILE", str(disk / "file")).split()
    if given[0] == "reference_app":
        reference_app.cli.main(given[1:])
    else:
        sim.cli.main(given)
    return given[-1]


def refusal(words: str, disk: Path) -> str:
    with pytest.raises(ExperimentError) as refused:
        run(words, disk)
    return str(refused.value)


def named(words: str, disk: Path) -> str:
    """How the message names the file."""
    name = words.rsplit(maxsplit=1)[-1].replace("FILE", str(disk / "file"))
    return str(disk / "cell-01-1.run") if name == "DISK" else name


@pytest.mark.parametrize("words", [*AT_THE_END, *EARLY_OR_LITTLE])
def test_a_full_disk_and_a_read_only_one_are_refused_before_the_work(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, pages=0):
        expected = f"{named(words, disk)}: cannot be written (No space left on device)"
        assert refusal(words, disk) == expected
        protect(disk)
        expected = f"{named(words, disk)}: cannot be written (Read-only file system)"
        assert refusal(words, disk) == expected
        # Only the file of a search is begun at once, for the next one to go on with.
        left = [path.name for path in disk.iterdir() if path.name != "filler"]
        assert left == (["file"] if "--resume" in words else [])


@pytest.mark.parametrize("words", AT_THE_END)
def test_a_disk_that_is_full_at_the_end_keeps_no_half_file(words: str, tmp_path: Path) -> None:
    with small_disk(tmp_path, pages=1):
        expected = f"{named(words, tmp_path)}: cannot be written (No space left on device)"
        assert refusal(words, tmp_path) == expected
        assert [path.name for path in tmp_path.iterdir()] == ["filler"]


def test_a_search_goes_on_once_there_is_space(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "sweep --over workers=1..4 --over threads=1..4 --requests 20 --jobs 1 --json"
    sim.cli.main(words.split())
    at_once = capsys.readouterr().out
    with small_disk(tmp_path, pages=1):
        line = refusal(f"{words} --resume FILE", tmp_path)
        assert line == f"{tmp_path / 'file'}: cannot be written (No space left on device)"
        kept = (tmp_path / "file").read_bytes()
        assert len(kept) == PAGE
        enlarge(tmp_path)
        run(f"{words} --resume FILE", tmp_path)
        assert (tmp_path / "file").read_bytes().startswith(kept[: kept.rindex(b"\n") + 1])
    assert capsys.readouterr().out == at_once


def test_a_validation_goes_on_once_there_is_space(tmp_path: Path) -> None:
    header = rows.Header("now", {"cores": HOST.cores}, {}, 2, 1)
    values: rows.Values = {"latency_mean": 0.1}

    def measured(number: int) -> rows.Measurement:
        return rows.Measurement(1, "cell", str(number), {}, values, {}, 0.0, [values], values)

    written: list[rows.Measurement] = []

    def add() -> None:
        while True:
            rows.append(path, measured(len(written)))
            written.append(measured(len(written)))

    path = tmp_path / "disk" / "rows.jsonl"
    path.parent.mkdir()
    with small_disk(path.parent, pages=1):
        assert rows.resume(path, header) == []
        with pytest.raises(ExperimentError, match=r"rows.jsonl: cannot be written \(No space"):
            add()
        enlarge(path.parent)
        assert rows.resume(path, header) == written
        rows.append(path, measured(PAGE))
        assert rows.read(path)[1] == [*written, measured(PAGE)]
        protect(path.parent)
        with pytest.raises(ExperimentError, match=r"cannot be written \(Read-only file system\)"):
            rows.resume(path, header)


def test_a_recording_on_a_full_disk_ends_and_goes_on_later(tmp_path: Path) -> None:
    path = tmp_path / "demand.csv"

    def record(first: int, number: int) -> None:
        file = RecordingFile(str(path), 1 << 30)
        for each in range(first, first + number):
            file.append(file.line(1_000_000_000 * each, 5, 2, None, "/"))

    with small_disk(tmp_path, pages=1):
        record(0, PAGE)
        kept = path.read_bytes()
        assert len(kept) == PAGE
        record(PAGE, 1)  # Nor does another process raise anything.
        enlarge(tmp_path)
        record(PAGE + 1, 1)
        assert path.read_bytes().startswith(kept)
        arrivals = [row.arrival_s for row in trace_file.read(path)]
    whole = kept.count(b"\n") - 1  # Without the header's.
    assert whole > 50
    assert [*map(round, arrivals)] == [*range(whole), PAGE + 1]


def test_a_log_that_may_miss_lines_is_not_read(tmp_path: Path) -> None:
    container: Any = None  # Nothing runs.
    with small_disk(tmp_path, pages=1), (tmp_path / "log").open("w+b") as log:
        log.write(bytes(PAGE - 1))
        log.flush()
        server = RunningServer(("127.0.0.1", 1), container, None, None, log)
        with pytest.raises(ExperimentError, match="expected space for Gunicorn's log"):
            server.text()
        enlarge(tmp_path)
        assert len(server.text()) == PAGE - 1


# --- the folder for temporary files --------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 1])
def test_a_long_name_of_the_temporary_folder_ends_no_search(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not pytest's own, whose name may be too long already.
    with tempfile.TemporaryDirectory(prefix="k") as short:
        length = MAX_UNIX_PATH - SOCKET_NAME + 1 - room
        folder = Path(short, "t" * (length - len(os.fsencode(short)) - 1))
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        assert start_method() == ("forkserver" if room else "spawn")
        if not room:
            with processes(1) as executor:
                assert executor.submit(abs, -1).result() == 1
            assert list(folder.iterdir()) == []


#: Runs a command where no folder for temporary files can be written to.
NO_TEMPORARY_FILES = """
for folder in /tmp /var/tmp /usr/tmp; do
    if [ -d $folder ]; then
        mount --bind $folder $folder && mount -o remount,ro,bind $folder || exit 77
    fi
done
unset TMPDIR TEMP TMP
cd /proc
exec "$@"
"""
WITHOUT = ("unshare", "--mount", "bash", "-c", NO_TEMPORARY_FILES, "bash")


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        ("sim sweep --over workers=1,2 --requests 5 --replications 1 --jobs 2 --csv", 0, ""),
        (
            "reference_app measure --requests 5",
            2,
            "error: no directory for temporary files can be written to; expected space in /tmp, or "
            "in the directory that TMPDIR names\n",
        ),
    ],
)
def test_without_a_temporary_folder(words: str, status: int, line: str) -> None:
    done = subprocess.run(
        [*WITHOUT, sys.executable, "-m", *words.split()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode in (1, 77) and "permitted" in done.stderr:
        pytest.skip(f"no folder can be made read-only, which takes root: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (status, line)


# --- paths that cannot be looked at --------------------------------------------------------------

#: A name that no file system takes.
TOO_LONG = "x" * 300


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (f"--save {TOO_LONG}", "cannot be written"),
        (f"size --slo p95=1s --write {TOO_LONG}", "cannot be written"),
        (f"sweep --over workers=1 --resume {TOO_LONG}", "cannot be written"),
        (f"--config {TOO_LONG}", "cannot be read"),
        (f"--literal --config {TOO_LONG}", "cannot be read"),
        (f"--trace {TOO_LONG}", "cannot be read"),
        (f"--access-log {TOO_LONG}", "cannot be read"),
        (f"--access-log {TOO_LONG}*", "no file matches"),
        (f"fit {TOO_LONG}", "cannot be read"),
        (f"check {TOO_LONG}", "cannot be read"),
        (f"backtest --access-log {TOO_LONG}", "cannot be read"),
        (f"--costs {TOO_LONG}", "cannot be read"),
        (f"--experiment {TOO_LONG}", "cannot be read"),
        (f"reference_app validate rows.jsonl --save {TOO_LONG}", "cannot be written"),
    ],
)
def test_a_name_that_is_too_long_is_one_line(words: str, problem: str, tmp_path: Path) -> None:
    assert problem in refusal(words, tmp_path)


def test_a_circle_of_links_is_one_line(tmp_path: Path) -> None:
    link = tmp_path / "access.log"
    link.symlink_to(link)
    line = refusal(f"--access-log {link}", tmp_path)
    assert line.endswith(f"cannot be read ({os.strerror(errno.ELOOP)})")
