"""Ends commands at random moments: ``python -m tests.kills --times 20 --seed 7``.

Goal: whenever a command ends, nothing runs on, no file is half-written, and no prediction that was
kept is lost. Method: each command is started again and again, gets a signal at a moment that a
seeded stream draws, and is looked at: processes by a mark in their environment, temporary files by
a folder of its own, its file by what reads it. A command that resumes is then run to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import psutil

ROOT: Final = Path(__file__).parents[1]

# As pytest has it.
sys.path.insert(0, str(ROOT / "tests" / "support"))

from own_processes import marked  # noqa: E402 - it is there now

from sim.command import write_stdout  # noqa: E402 - as above
from sim.errors import ExperimentError  # noqa: E402 - as above
from sim.run import load  # noqa: E402 - as above

#: Names the round in the environment of its processes.
MARK: Final = "KILLED_BY_TEST"

#: s until all processes have to be gone, and s that a command may take when nobody ends it.
GONE, WHOLE = 10.0, 120.0

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class Command(NamedTuple):
    """A command that is ended.

    Attributes:
        words: its arguments; ``FILE`` is its file.
        longest: s after which it is ended at the latest.
        check: says what is wrong with its file; empty if nothing is.
        resumes: whether it goes on with the file.
    """

    words: str
    longest: float
    check: Callable[[Path], str]
    resumes: bool = False


def _lines(path: Path) -> str:
    """JSON lines, of which the last may be cut off."""
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            json.loads(line)
        except ValueError as error:
            return f"line {number} is broken: {error}"
    return ""


def _runs(path: Path) -> str:
    try:
        load(path)
    except ExperimentError as error:
        return str(error)
    return ""


COMMANDS: Final = {
    "sweep": Command(
        "sim sweep --over workers=1..4 --over threads=1..3 --requests 400 --replications 4 "
        "--jobs 2 --json --resume FILE",
        3.0,
        _lines,
        resumes=True,
    ),
    "size": Command(
        "sim size --slo p95=250ms --rate 40 --jobs 2 --json --resume FILE",
        4.0,
        _lines,
        resumes=True,
    ),
    "save": Command("sim --workers 2 --requests 20000 --replications 1 --save FILE", 2.0, _runs),
    "measure": Command(
        "reference_app measure --workers 2 --threads 2 --requests 100 --replications 1 --save FILE",
        5.0,
        _runs,
    ),
    "launchdarkly": Command(
        "reference_app measure --workers 2 --preload --launchdarkly --requests 100 "
        "--replications 1 --save FILE",
        6.0,
        _runs,
    ),
}


def troubles(command: Command, number: signal.Signals, seconds: float) -> list[str]:
    """What is wrong after ``command`` got a signal after so many ``seconds``."""
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        temporary, file = folder / "tmp", folder / "file"
        temporary.mkdir()
        mark = uuid.uuid4().hex
        environment = {**os.environ, MARK: mark, "TMPDIR": str(temporary)}
        words = [word.replace("FILE", str(file)) for word in command.words.split()]
        run = [sys.executable, "-m", *words]
        try:
            process = subprocess.Popen(
                run,
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            ended_itself = process.poll() is not None
            process.send_signal(number)
            found = _ended(process, number, ended_itself=ended_itself)
            found += _left(mark, temporary, folder, killed=number == signal.SIGKILL)
            if file.exists() and (problem := command.check(file)):
                found.append(f"its file: {problem}")
            if command.resumes and not found:
                found += _resumed(run, environment, file)
            return found
        finally:
            for left in marked(MARK, mark):
                with suppress(psutil.NoSuchProcess):
                    left.kill()


def _ended(
    process: subprocess.Popen[str], number: signal.Signals, *, ended_itself: bool
) -> list[str]:
    try:
        _, errors = process.communicate(timeout=GONE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return [f"it does not end within {GONE:g} s"]
    if ended_itself:
        return [] if process.returncode == 0 else [f"status {process.returncode}: {errors}"]
    found = ["it has a traceback: " + errors[-800:]] if "Traceback" in errors else []
    if number == signal.SIGINT and process.returncode not in (0, 130, -signal.SIGINT):
        found.append(f"its status is {process.returncode} after SIGINT")
    return found


def _left(mark: str, temporary: Path, folder: Path, *, killed: bool) -> list[str]:
    """What is left of it: processes, and files if it had the time to remove them."""
    deadline = time.monotonic() + GONE
    while (running := marked(MARK, mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    found = []
    for each in running:
        with suppress(psutil.NoSuchProcess):
            found.append(f"a process runs on: {' '.join(each.cmdline())[:200]}")
    if not killed:
        names = [path.name for path in (*temporary.iterdir(), *folder.glob("*.partial"))]
        found += [f"a file is left: {path}" for path in names]
    return found


def _resumed(run: Sequence[str], environment: dict[str, str], file: Path) -> list[str]:
    """Go on to the end; every whole line has to stay as it was."""
    content = file.read_bytes() if file.exists() else b""
    kept = content[: content.rfind(b"\n") + 1]
    done = subprocess.run(
        run, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WHOLE, check=False
    )
    if done.returncode != 0:
        return [f"it does not go on: status {done.returncode}: {done.stderr[-800:]}"]
    whole = file.read_bytes()
    if not whole.startswith(kept):
        return ["what it had kept is lost"]
    lines = whole.splitlines()
    trials = [json.dumps([json.loads(it)[key] for key in ("point", "replication")])
              for it in lines[1:]]  # fmt: skip
    return ["it predicted a trial twice"] if len(set(trials)) < len(trials) else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 when something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", allow_abbrev=False)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument("--times", type=int, default=3, help="that each command is ended [3]")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and signals [1]")
    args = parser.parse_args(arguments)
    unknown = set(args.commands) - set(COMMANDS)
    if unknown:
        parser.error(f"{min(unknown)!r} is no command; expected one of {', '.join(COMMANDS)}")
    wrong = 0
    for name in args.commands or COMMANDS:
        random = Random(f"{args.seed} {name}")
        bad = 0
        for _ in range(args.times):
            command = COMMANDS[name]
            number, seconds = random.choice(SIGNALS), random.uniform(0.0, command.longest)
            found = troubles(command, number, seconds)
            bad += bool(found)
            for trouble in found:
                write_stdout(f"{name}, {number.name} after {seconds:.2f} s: {trouble}\n")
        write_stdout(f"{name}: ended {args.times} times, {bad} with trouble\n")
        wrong += bad
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
