"""A command that is ended: started, given a signal, looked at, and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from sim.command import INTERRUPTED, TERMINATED
from tests.kills.remains import GONE, MARK, ended, family, possessions, remains

ROOT: Final = Path(__file__).parents[2]

#: s that a command may take when nobody ends it.
WHOLE: Final = 120.0

#: Exit statuses of a command that a signal has ended. Python's own handler, or none, is there
#: until ours is; nothing handles SIGKILL. Ours raises KeyboardInterrupt, and where that ends the
#: `exec` of a text, as of a dataclass, CPython ends itself by SIGINT, though we have caught it.
STATUSES: Final[Mapping[signal.Signals, Collection[int]]] = MappingProxyType(
    {
        signal.SIGINT: (INTERRUPTED, -signal.SIGINT),
        signal.SIGTERM: (TERMINATED, -signal.SIGTERM, -signal.SIGINT),
        signal.SIGKILL: (-signal.SIGKILL,),
    }
)

#: Where our modules are, as a traceback names them.
OURS: Final = (f"{ROOT / 'sim'}{os.sep}", f"{ROOT / 'reference_app'}{os.sep}")


class Command(NamedTuple):
    """A command that is ended.

    Attributes:
        words: its arguments behind ``python``; ``FILE`` is its file.
        longest: s after which it is ended at the latest.
        check: says what is wrong with its file; empty if nothing is.
        resumes: whether it goes on with the file, and prints then what it prints without an end.
        statuses: of one that nobody ends.
        temporary: name of the folder for its temporary files.
    """

    words: str
    longest: float
    check: Callable[[Path], str]
    resumes: bool = False
    statuses: Collection[int] = (0,)
    temporary: str = "tmp"


def troubles(command: Command, number: signal.Signals, seconds: float) -> list[str]:
    """What is wrong after ``command`` got a signal after so many ``seconds``.

    Of every signal it is demanded that all processes end, that no socket and no shared memory is
    left, that the file is whole or is not there, and that the next run goes on with what it has.
    SIGINT goes to the whole process group, as Ctrl-C does. After SIGKILL a temporary file may be
    left, since nobody is there to remove it.
    """
    mark = uuid.uuid4().hex
    with (
        tempfile.TemporaryDirectory(prefix="kills-") as name,
        tempfile.TemporaryFile("w+") as errors,
        ended(mark),
    ):
        folder = Path(name)
        temporary, file = folder / command.temporary, folder / "file"
        temporary.mkdir()
        environment = {**os.environ, MARK: mark, "TMPDIR": str(temporary)}
        run = _run(command, file)
        process = subprocess.Popen(
            run,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            # Not a pipe: what is left of the command would hold it open.
            stderr=errors,
            start_new_session=True,
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        over = process.poll() is not None
        before = possessions(family(mark, process.pid))
        _send(process, number)
        found = _end(process)
        if not found:
            errors.seek(0)
            expected = (*command.statuses, *(() if over else STATUSES[number]))
            found = _complaints(process.returncode, expected, errors.read())
        found += remains(mark, process.pid, before)
        if number != signal.SIGKILL:
            found += [f"a file is left: {path.name}" for path in _left(temporary, folder)]
        if file.exists() and (problem := command.check(file)):
            found.append(f"its file: {problem}")
        if command.resumes and not found:
            found += _resumed(command, run, environment, file)
        return found


def _run(command: Command, file: Path) -> list[str]:
    words = (str(file) if word == "FILE" else word for word in command.words.split())
    return [sys.executable, *words]


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if number != signal.SIGINT:
        process.send_signal(number)
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _left(temporary: Path, folder: Path) -> list[Path]:
    return [*temporary.iterdir(), *folder.glob("*.partial")]


def _end(process: subprocess.Popen[bytes]) -> list[str]:
    """Wait for the end of the command itself."""
    try:
        process.wait(GONE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return [f"it does not end within {GONE:g} s"]
    return []


def _complaints(status: int, expected: Collection[int], errors: str) -> list[str]:
    """What is wrong with a status, and with what was written to stderr."""
    if status not in expected:
        return [f"its status is {status}: {errors[-800:]}"]
    # Before our modules are there, an end is Python's own affair.
    if "Traceback" in errors and any(place in errors for place in OURS):
        return [f"it has a traceback: {errors[-800:]}"]
    return []


def _resumed(
    command: Command, run: Sequence[str], environment: Mapping[str, str], file: Path
) -> list[str]:
    """Go on to the end; every whole line has to stay as it was."""
    content = file.read_bytes() if file.exists() else b""
    kept = content[: content.rfind(b"\n") + 1]
    done = _whole(run, environment)
    if done.returncode not in command.statuses:
        return [f"it does not go on: status {done.returncode}: {done.stderr[-800:]}"]
    if not file.read_bytes().startswith(kept):
        return ["what it had kept is lost"]
    if problem := command.check(file):
        return [f"its file after it went on: {problem}"]
    return [] if done.stdout == answer(command) else ["it answers something else than at once"]


@cache
def answer(command: Command) -> str:
    """What the command prints when nobody ends it."""
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        done = _whole(_run(command, Path(name, "file")), os.environ)
    assert done.returncode in command.statuses, done.stderr
    return done.stdout


def _whole(run: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        run, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WHOLE, check=False
    )
