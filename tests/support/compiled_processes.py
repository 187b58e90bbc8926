"""Processes that predict, each on a core of its own, with the compiled model where there is one.

A rank test takes more than a hundred predictions. `test_compiled.py` holds that the compiled model
predicts the same, byte for byte, so tests of the real server may use it; without one the
interpreted model is used, and the results are the same. All processes have ended before anything is
measured.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver
from threading import Thread
from typing import TypeVar

import coverage
from compiler import wait_for_compiler

from sim.compiled import INTERPRETED, SHARED
from sim.study.executors import cores

Result = TypeVar("Result")

#: Predictions that a process is given at once.
CHUNK = 20


#: Processes that are kept from one call of `in_processes` to the next, if any.
_kept: list[ProcessPoolExecutor] = []


@contextmanager
def kept_processes() -> Iterator[None]:
    """Let all calls of `in_processes` in the block use the same processes.

    One takes most of a second to start.
    """
    with _processes() as pool:
        _kept.append(pool)
        try:
            yield
        finally:
            _kept.remove(pool)


def in_processes(
    function: Callable[..., Result], *arguments: Iterable[object], chunk: int = CHUNK
) -> list[Result]:
    """The results of ``function`` for ``arguments``, as `map` has them.

    In this process where its coverage is measured, interpreted; and where this process has the
    compiled model: others compute beside it, and to start processes takes longer than many a call.

    Args:
        function: of a module that does not import `sim.model` before it is called.
        arguments: which can be pickled.
        chunk: number of calls that a process is given at once.
    """
    # Of compiled code, or of another process's, the tracer of this one sees nothing.
    if coverage.Coverage.current() is not None or SHARED in sys.modules:
        return list(map(function, *arguments))
    wait_for_compiler()
    if _kept:
        return list(_kept[-1].map(function, *arguments, chunksize=chunk))
    with _processes() as pool:
        return list(pool.map(function, *arguments, chunksize=chunk))


def _processes() -> ProcessPoolExecutor:
    """As many as there are cores; each is started when there is something for it."""
    # A fork would have the interpreted model of this process.
    return ProcessPoolExecutor(cores(), multiprocessing.get_context("spawn"), _begin)


def compile_studies() -> None:
    """Let the studies of this process predict with the compiled model, where there is one.

    Their processes are forked by a server, which has the environment that it begins with.
    """
    interpreted = os.environ.pop(INTERPRETED, None)
    try:
        # As `sim.study.executors` has it, which finds the server running.
        forkserver.set_forkserver_preload(["sim.study.trial"])
        forkserver.ensure_running()
    finally:
        if interpreted is not None:
            os.environ[INTERPRETED] = interpreted


def _begin() -> None:
    """Prefer the compiled model, leave Ctrl-C to the parent, and end with it."""
    os.environ.pop(INTERPRETED, None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "the parent has spawned this process"
    Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
