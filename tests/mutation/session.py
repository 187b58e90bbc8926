"""Runs pytest in a fork of this process, within limits, on a copy of the tree.

A fork has pytest and what it imports already, which is half of what a short session takes; of the
project's own modules it has none.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, NamedTuple

from sim.whole_file import whole_file

#: What sessions import, and no fault changes; besides, all plugins of pytest.
PRELOADED: Final = (
    *("asyncio", "coverage", "gunicorn.config", "hypothesis.strategies", "multiprocessing"),
    *("psutil", "pytest", "rich.console", "rich.table", "simpy", "tomllib"),
)

#: s of grace: what a session takes besides its tests, at most.
START: Final = 10.0

#: How often its time a session may take, of CPU and as it passes: others may have the processors.
CPU_FACTOR, WALL_FACTOR = 5.0, 30.0

#: Signals that end this process, and its session with it.
ENDING: Final = (signal.SIGINT, signal.SIGTERM)

#: Bytes of memory that a session may have.
MEMORY: Final = 6 << 30


class Ended(NamedTuple):
    """How a session ended.

    Attributes:
        status: pytest's exit status; None if it did not come to its end.
        hung: whether it was ended because it took too long.
        report: what its plugin has written.
    """

    status: int | None
    hung: bool
    report: Any


def preload() -> None:
    """Import what all sessions need."""
    for name in PRELOADED:
        importlib.import_module(name)
    for plugin in entry_points(group="pytest11"):
        plugin.load()


def run(
    tree: Path,
    scratch: Path,
    arguments: Sequence[str],
    seconds: float,
    plugin: Callable[[], Any],
    start: float = START,
) -> Ended:
    """Run a session and wait for its end.

    Args:
        tree: the copy.
        scratch: folder for its output, report and temporary files.
        arguments: of pytest.
        seconds: s that it takes where nothing is wrong.
        plugin: makes the plugin, in the session; its ``report()`` is what `Ended` has.
        start: s of grace for what it does besides its tests.
    """
    report = scratch / "report.json"
    report.unlink(missing_ok=True)
    cpu, wall = start + CPU_FACTOR * seconds, WALL_FACTOR * (start + seconds)
    # In a fork, Python loses the exception that a signal raises in a callback of it.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    child = os.fork()
    if child == 0:
        status = 70
        try:
            _enter(tree, scratch, cpu)
            status = _pytest(arguments, plugin, report)
        finally:
            os._exit(status)
    with suppress(ProcessLookupError, PermissionError):
        os.setpgid(child, child)
    handle = os.pidfd_open(child)
    ready: Sequence[int] = ()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        ready = select.select([handle], [], [], wall)[0]
    finally:
        os.close(handle)
        # Also what its tests have started, and when this process is to end.
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        _, code = os.waitpid(child, 0)
    content = json.loads(report.read_text(encoding="utf-8")) if report.exists() else None
    hung = not ready or (os.WIFSIGNALED(code) and os.WTERMSIG(code) == signal.SIGXCPU)
    return Ended(os.WEXITSTATUS(code) if os.WIFEXITED(code) else None, hung, content)


def _enter(tree: Path, scratch: Path, cpu: float) -> None:
    """Make this process one of the copy."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    output = os.open(scratch / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(number, target)
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu), int(cpu) + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ["TMPDIR"] = str(scratch)
    root = Path(__file__).parents[2]
    for name, module in [*sys.modules.items()]:
        file = getattr(module, "__file__", None)
        if name != "__main__" and file is not None and _is_copied(Path(file), root, tree):
            del sys.modules[name]
    sys.path[:] = [it for it in sys.path if it and not _is_copied(Path(it), root, tree)]
    sys.path.insert(0, str(tree))
    os.chdir(tree)
    importlib.invalidate_caches()


def _is_copied(path: Path, root: Path, tree: Path) -> bool:
    """Whether the copy has a file or folder of the working tree; it has no environment of it."""
    return path.is_relative_to(root) and (tree / path.relative_to(root)).exists()


def _pytest(arguments: Sequence[str], plugin: Callable[[], Any], report: Path) -> int:
    import pytest  # noqa: PLC0415 - only here

    own = plugin()
    scratch = report.parent
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--hypothesis-seed=0",
        f"--basetemp={scratch / 'tmp'}",
    ]
    status = int(pytest.main([*options, *arguments], plugins=[own]))
    with whole_file(report) as file:
        file.write(json.dumps(own.report()))
    return status
