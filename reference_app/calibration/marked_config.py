r"""Gunicorn's configuration under calibration: the rig's, and a clock at each step of a request.

::

    24.0 and later                                          20.1 to 23.0

    main thread:  accept --------------> run_callbacks      accept --> dispatch
                        \               ^                              \
    pool thread:         handle --> app +                               handle --> app --> finish

A gevent worker does all of that in one thread, accept, handle and app. What its hub does from the
end of one `handle` to the next accept is its finish.

Each step notes the wall clock and its thread's CPU clock. Of each request, `handled` also notes
when its handling began and the CPU that it took. A worker writes its notes as a line when it exits.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from itertools import product
from typing import TYPE_CHECKING, Any

from gunicorn.workers import gthread
from gunicorn.workers.gthread import ThreadWorker

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

#: Where each release runs these two steps: names of a class in `gunicorn.workers.gthread` and of
#: its method. The first that the release has counts.
_FINISH = (("PollableMethodQueue", "run_callbacks"), ("ThreadWorker", "finish_request"))
_DISPATCH = (("ThreadWorker", "on_client_socket_readable"), ("ThreadWorker", "reuse_connection"))

_SIDES = product(("accept", "dispatch", "handle", "app", "finish"), ("begins", "ends"))
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


def _put_clocks(step: str, places: Iterable[tuple[str, str]]) -> None:
    """Put the clocks of a step into the first of the places that this release has."""
    owner, method = next(
        (owner, method)
        for name, method in places
        if (owner := getattr(gthread, name, None)) is not None and hasattr(owner, method)
    )
    setattr(owner, method, _between(step, getattr(owner, method)))


def _accepted(accept: Callable[..., Any]) -> Callable[..., Any]:
    """Between, where a call that finds no connection is no accept."""

    def noted(*args: Any) -> Any:  # noqa: ANN401 - as above
        begins = time.monotonic(), time.thread_time()
        accepted = accept(*args)
        if accepted:
            _marks["accept_begins"].append(begins)
            _note("accept_ends")
        return accepted

    return noted


def _put_clocks_into_threads() -> None:
    ThreadWorker.accept = _between("accept", ThreadWorker.accept)
    ThreadWorker.handle = _handled(_between("handle", ThreadWorker.handle))
    _put_clocks("dispatch", _DISPATCH)
    _put_clocks("finish", _FINISH)


def _put_clocks_into_greenlets(worker_class: Any) -> None:  # noqa: ANN401 - gunicorn has no types
    from gevent.server import StreamServer  # noqa: PLC0415 - of the extra gevent

    StreamServer.do_read = _accepted(StreamServer.do_read)
    worker_class.handle = _handled(_between("handle", worker_class.handle))


def post_worker_init(worker: Worker) -> None:
    """Put the clocks in; the worker is about to enter its loop."""
    if isinstance(worker, ThreadWorker):
        _put_clocks_into_threads()
    else:
        _put_clocks_into_greenlets(type(worker))
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
