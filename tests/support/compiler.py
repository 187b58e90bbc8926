"""Compiles the model beside the first tests of a session of all tests, where it can be.

Rank tests take thousands of predictions, which a compiled model makes in a third of the time. They
wait for it, and so do the tests that compare the two. Tests that have begun do without.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from kinds import NICENESS

from sim import compiled
from sim.compiled.build import refuse_missing_tools
from sim.errors import ExperimentError

#: Environment variable: the process that compiles.
PID = "TESTS_COMPILER"

#: s that compiling may take beside other tests.
PATIENCE = 420.0


@contextmanager
def compiling() -> Iterator[None]:
    """Compile in the background, unless that is done, or something is missing that it takes."""
    if compiled.is_fresh() or not compiled.is_clone() or not _has_tools():
        yield
        return
    with subprocess.Popen(
        [sys.executable, "-m", "sim", "compile"],
        cwd=compiled.PACKAGE.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        # Others see it as long as nobody has waited for it.
        Thread(target=process.wait, daemon=True).start()
        os.environ[PID] = str(process.pid)
        try:
            yield
        finally:
            del os.environ[PID]
            process.terminate()


def wait_for_compiler() -> None:
    """Wait until nothing compiles any more; the model may be compiled then."""
    pid, until = os.environ.get(PID), time.monotonic() + PATIENCE
    while pid is not None and _runs(int(pid)) and time.monotonic() < until:
        time.sleep(0.2)


def _has_tools() -> bool:
    try:
        refuse_missing_tools()
    except ExperimentError:
        return False
    return True


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
