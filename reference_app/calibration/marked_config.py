r"""Gunicorn's configuration under calibration: the rig's, and a clock at each step of a request.

::

    24.0 and later                                          20.1 to 23.0

    main thread:  accept --------------> run_callbacks      accept --> dispatch
                        \               ^                              \
    pool thread:         handle --> app +                               handle --> app --> finish

A worker with an event loop does all of that in one thread, accept, handle and app. What it does
from the end of one `handle` to the next accept is its finish. With ASGI, `handle` begins with the
request's first bytes, and ends as the last of the response are sent.

Each step notes the wall clock and its thread's CPU clock. Of each request, `handled` also notes
when its handling began and the CPU that it took. A worker writes its notes as a line when it gets
the signal `WRITE`: not when it exits, for uvicorn's ends by the very signal that stops it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Awaitable, Callable, Iterable
from importlib import import_module
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
    from gunicorn.workers.base import Worker

__all__ = ["child_exit", "logger_class", "post_fork", "post_worker_init"]

#: What the line begins with.
MARKS = "MARKS "

#: Makes a worker write it; neither Gunicorn nor the rig has a use for this signal.
WRITE = signal.SIGRTMIN + 1

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


#: A step of an ASGI application, or of the server that calls it.
_Coroutine = Callable[..., Awaitable[None]]

#: By the module of a worker class on asyncio: the module and name of what has a connection there,
#: and the worker's attribute with the application.
_ON_ASYNCIO = {
    "gunicorn.workers.gasgi": ("gunicorn.asgi.protocol", "ASGIProtocol", "asgi"),
    "uvicorn_worker._workers": ("uvicorn.protocols.http.auto", "AutoHTTPProtocol", "wsgi"),
}


def _put_clocks_into_coroutines(worker: Worker, module: str, protocol: str, has: str) -> None:
    """Put them into asyncio's loop, which accepts, and into what reads a request."""
    loop: Any = BaseSelectorEventLoop
    accept, take = loop._accept_connection, loop._accept_connection2
    began = 0.0, 0.0

    def accepting(*args: Any, **named: Any) -> None:  # noqa: ANN401 - asyncio's own
        nonlocal began
        began = time.monotonic(), time.thread_time()
        accept(*args, **named)

    def taking(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - as above
        nonlocal began
        # It accepts all that wait: the next of them begins here.
        _marks["accept_begins"].append(began)
        _note("accept_ends")
        began = _marks["accept_ends"][-1]
        return take(*args, **named)

    loop._accept_connection, loop._accept_connection2 = accepting, taking
    connection = getattr(import_module(module), protocol)
    receive = connection.data_received

    def received(*args: Any) -> None:  # noqa: ANN401 - as above
        _note("handle_begins")
        receive(*args)

    connection.data_received = received
    setattr(worker, has, _clocked_coroutine(getattr(worker, has)))


def _clocked_coroutine(application: _Coroutine) -> _Coroutine:
    async def clocked(scope: dict[str, Any], receive: _Coroutine, send: _Coroutine) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        _note("app_begins")

        async def noted(message: dict[str, Any]) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body")
            if last:
                _note("app_ends")
            await send(message)
            if last:
                _note("handle_ends")

        await application(scope, receive, noted)

    return clocked


def _put_clocks_into_greenlets(worker_class: Any) -> None:  # noqa: ANN401 - gunicorn has no types
    from gevent.server import StreamServer  # noqa: PLC0415 - of the extra gevent

    StreamServer.do_read = _accepted(StreamServer.do_read)
    worker_class.handle = _handled(_between("handle", worker_class.handle))


def _write(*_: object) -> None:
    """Write the notes, as a line of the log's file."""
    line = f"{MARKS}{json.dumps(_marks)}\n".encode()
    while line:
        line = line[os.write(sys.stderr.fileno(), line) :]


def post_worker_init(worker: Worker) -> None:
    """Put the clocks in; the worker is about to enter its loop."""
    signal.signal(WRITE, _write)
    on_asyncio = _ON_ASYNCIO.get(type(worker).__module__)
    if on_asyncio is not None:
        _put_clocks_into_coroutines(worker, *on_asyncio)
        _ready(worker)
        return
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
