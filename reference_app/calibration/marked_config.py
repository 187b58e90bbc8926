r"""Gunicorn's configuration under calibration: the rig's, and a clock at each step of a request.

::

    main thread:  accept ----------------> callbacks (finish_request)
                        \                 ^
    pool thread:         handle --> app --+

Each step notes the wall clock and its thread's CPU clock; of each request it also notes when its
handling began and the CPU that took. A worker writes what it has noted as one line when it exits.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from itertools import product
from typing import TYPE_CHECKING, Any

from gunicorn.workers.gthread import PollableMethodQueue, ThreadWorker

from reference_app.rig.rig_config import (
    child_exit,
    logger_class,
    post_fork,
)
from reference_app.rig.rig_config import (
    post_worker_init as _ready,
)

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

__all__ = ["child_exit", "logger_class", "post_fork", "post_worker_init", "worker_exit"]

#: What the line begins with.
MARKS = "MARKS "

_SIDES = product(("accept", "handle", "app", "finish"), ("begins", "ends"))
_marks: dict[str, list[tuple[float, float]]] = {
    name: [] for name in ("handled", *(f"{step}_{side}" for step, side in _SIDES))
}


def _note(name: str) -> None:
    _marks[name].append((time.monotonic(), time.thread_time()))


def _between(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*args: Any) -> Any:  # noqa: ANN401 - whatever the step takes and gives
        _note(f"{step}_begins")
        try:
            return function(*args)
        finally:
            _note(f"{step}_ends")

    return noted


def _handled(handle: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*args: Any) -> Any:  # noqa: ANN401 - as above
        began, cpu = time.monotonic(), time.thread_time()
        try:
            return handle(*args)
        finally:
            _marks["handled"].append((began, time.thread_time() - cpu))

    return noted


def post_worker_init(worker: Worker) -> None:
    """Put the clocks in; the worker is about to enter its loop."""
    ThreadWorker.accept = _between("accept", ThreadWorker.accept)
    ThreadWorker.handle = _handled(_between("handle", ThreadWorker.handle))
    PollableMethodQueue.run_callbacks = _between("finish", PollableMethodQueue.run_callbacks)
    application = worker.wsgi

    def clocked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        _note("app_begins")
        try:
            answer: Iterable[bytes] = application(environ, start_response)
            return answer
        finally:
            _note("app_ends")

    worker.wsgi = clocked
    _ready(worker)


def worker_exit(server: Arbiter, worker: Worker) -> None:  # noqa: ARG001 - Gunicorn's signature
    """Write the notes, as a line of the log's file."""
    line = f"{MARKS}{json.dumps(_marks)}\n".encode()
    while line:
        line = line[os.write(sys.stderr.fileno(), line) :]
