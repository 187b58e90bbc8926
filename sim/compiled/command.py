"""``python -m sim compile``: compile the model of a clone in place."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sim.command import called, write_stdout
from sim.compiled import DIRECTORY, PACKAGE, fingerprint, is_clone, is_fresh
from sim.compiled.build import put_in_place, refuse_missing_tools
from sim.errors import ExperimentError
from sim.reading.one_line_parser import OneLineParser

#: s that compiling takes, about: for the line that says so.
ABOUT = 90

#: Begins the name of the directory that one compiles in, and s after which it belongs to nobody.
UNFINISHED, FORGOTTEN = "compiling-", 1800.0


def main(arguments: Sequence[str]) -> None:
    """Do what the command line asks for.

    Args:
        arguments: of the command line, the first of which is ``compile``.

    Raises:
        ExperimentError: when the sources are no clone, something is missing, or it fails.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; the compiler is ended, and nothing has changed.
        SystemExit: after ``--help``, and when an argument cannot be parsed.
    """
    parser = OneLineParser(
        prog=f"{called('sim')} compile",
        description="Compile the model of this clone with mypyc and a C compiler, in about "
        f"{ABOUT} s: the same predictions, about three times as fast. It needs the extra "
        "'compile'. Compile again after a change to the sources; until then Python runs them.",
    )
    parser.parse_args(arguments[1:])
    if not is_clone():
        raise ExperimentError(
            f"the sources in {PACKAGE} are no clone; expected one to compile in place, or a wheel "
            "that is built with HATCH_BUILD_HOOKS_ENABLE=1"
        )
    if is_fresh():
        write_stdout(f"up to date: {DIRECTORY}\n")
        return
    refuse_missing_tools()
    made_of = fingerprint()
    try:
        DIRECTORY.parent.mkdir(exist_ok=True)
        _remove_unfinished(DIRECTORY.parent)
        # Beside the directory whose place it takes, so that it can be renamed.
        with TemporaryDirectory(dir=DIRECTORY.parent, prefix=UNFINISHED) as scratch:
            lib = Path(scratch) / "lib"
            with _working():
                _build(lib)
            put_in_place(lib, made_of)
    except OSError as error:
        raise ExperimentError(f"{DIRECTORY.parent}: cannot be written ({error.strerror})") from None
    write_stdout(f"compiled: {DIRECTORY}\n")


def _remove_unfinished(parent: Path) -> None:
    """Remove what was left by processes that SIGKILL ended."""
    for path in parent.glob(f"{UNFINISHED}*"):
        if time.time() - path.stat().st_mtime > FORGOTTEN:
            shutil.rmtree(path, ignore_errors=True)


def _build(lib: Path) -> None:
    """Run the build in a session of its own, which ends with this call, compilers included."""
    process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
        [sys.executable, "-m", "sim.compiled.build", str(lib)],
        cwd=PACKAGE.parent,
        # Its own and the compilers' files go with it, also when they are killed.
        env={**os.environ, "TMPDIR": str(lib.parent)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate()
    finally:
        _kill_session(process)
    if process.returncode:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines or ["no message"]
        raise ExperimentError(
            f"the model is not compiled; the compiler ended with status {process.returncode}: "
            f"{errors[-1]}"
        )


def _kill_session(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()


@contextmanager
def _working() -> Iterator[None]:
    """Say on stderr that it takes a while; on a terminal, with the time that it has taken."""
    description = f"compiling the model, which takes about {ABOUT} s"
    # rich costs more start-up than all else together.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True)
    if not console.is_terminal:
        print(description, file=sys.stderr, flush=True)  # noqa: T201
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        bar.add_task(description, total=None)
        yield
