"""Recording of what requests demand: two hooks for a ``gunicorn.conf.py``.

::

    from sim.reading.recorder import record; pre_request, post_request = record("demand.csv")

Each request of a ``sync``, ``gthread``, ``gevent`` or ``eventlet`` worker becomes a line of the
file when it ends. The line says when the request began to run, how long it waited (I/O), how long
it computed, and how long it had waited for that. It also has the worker, and the path without the
query. ``python -m sim fit demand.csv`` and ``--trace demand.csv`` read it. Workers that run ASGI
applications have `sim.reading.asgi_recorder`. ``gevent_pywsgi`` and ``tornado`` workers call no
such hook, so nothing of them is recorded.

This module runs in somebody's production. It imports the standard library only, it never raises in
a request, and its file is bounded; see `sim.reading.recording_file`.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable
from sys import modules
from time import monotonic_ns, thread_time_ns
from typing import Any, Final, NamedTuple, Protocol

from sim.reading.greenlet_clocks import GreenletClocks
from sim.reading.recording_buffer import RecordingBuffer, later_in_gevent
from sim.reading.recording_file import MOST_BYTES, RecordingFile

#: Where Linux's ``struct tcp_info`` has ``tcpi_last_data_recv``: ms since the socket last received
#: data, by the kernel's tick (include/uapi/linux/tcp.h: eight bytes, and the twelfth number of four
#: behind them).
_LAST_DATA: Final = struct.Struct("=52xI")
_SIZE: Final = _LAST_DATA.size
_last_data: Final = _LAST_DATA.unpack

#: Socket option that has it; None where the system is another one.
_TCP_INFO: Final[int | None] = socket.TCP_INFO if sys.platform == "linux" else None
_TCP: Final = socket.IPPROTO_TCP

#: Requests of which no end was seen, at most.
_MOST_BEGUN: Final = 100_000

Hook = Callable[..., None]


class Request(Protocol):
    """What is read of ``gunicorn.http.message.Request``."""

    path: str


class Hooks(NamedTuple):
    """What a ``gunicorn.conf.py`` sets, in the order of its line.

    Attributes:
        pre_request: begins the clocks of a request.
        post_request: writes its line.
    """

    pre_request: Hook
    post_request: Hook


def record(
    path: str,
    *,
    most_bytes: int = MOST_BYTES,
    pre_request: Hook | None = None,
    post_request: Hook | None = None,
) -> Hooks:
    """Make hooks that record each request into a file.

    Args:
        path: of the file, which is opened at the first request of each process.
        most_bytes: at which no more is written.
        pre_request: a hook of the service's own, which is called as well.
        post_request: the same.
    """
    recorder = _Recorder(RecordingFile(path, most_bytes))
    if pre_request is None and post_request is None:
        return Hooks(recorder.begin, recorder.end)

    def before(worker: object, request: Request) -> None:
        if pre_request is not None:
            pre_request(worker, request)
        recorder.begin(worker, request)

    def after(worker: object, request: Request, environ: object, response: object) -> None:
        recorder.end(worker, request, environ, response)
        if post_request is not None:
            post_request(worker, request, environ, response)

    return Hooks(before, after)


#: A request that has begun: ns of a clock that is never set; ns of CPU of its thread, None where
#: its greenlet has a clock; ms that it had waited, None if unknown. A tuple: it is made in a fifth
#: of the time of a class with these names.
_Begun = tuple[int, int | None, int | None]


class _Recorder:
    """The requests of this process that have begun, by their identity, and the file."""

    def __init__(self, file: RecordingFile) -> None:
        self._file = file
        # Not by thread: a worker with an event loop runs many requests in one.
        self._begun: dict[int, _Begun] = {}
        self._buffer = RecordingBuffer(file, later_in_gevent)
        self._forget()
        # As `RecordingFile` does: to ask for the process at each request would be a system call.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Begin as a process that has recorded no request."""
        self._begun.clear()
        self._greenlets: GreenletClocks | None = None
        self._lines: RecordingFile | RecordingBuffer = self._file
        # Its hooks are called, but what a task computes cannot be seen from them.
        self._asgi: bool | None = None

    def begin(self, worker: object, request: Request) -> None:
        """Note when a request begins; whatever goes wrong, nothing is raised."""
        try:
            if self._asgi is None:
                self._look_at(worker)
            if self._asgi or len(self._begun) >= _MOST_BEGUN:
                return
            wait = _waited(request)
            clocks, cpu = self._clocks(), None
            if clocks is not None:
                clocks.start()
            else:
                cpu = thread_time_ns()
            self._begun[id(request)] = monotonic_ns(), cpu, wait
        except Exception:  # noqa: S110 - a request is worth more than its line
            pass

    def end(
        self,
        worker: object,  # noqa: ARG002
        request: Request,
        environ: object,  # noqa: ARG002
        response: object,  # noqa: ARG002
    ) -> None:
        """Write the line of a request; whatever goes wrong, nothing is raised."""
        try:
            begun = self._begun.pop(id(request), None)
            if begun is None:
                return
            began, used, wait = begun
            if used is not None:
                cpu = thread_time_ns() - used
            elif self._greenlets is not None:
                cpu = self._greenlets.stop()
            else:
                return
            self._lines.add(began, cpu, wait, request.path)
        except Exception:  # noqa: S110 - as above
            pass

    def _clocks(self) -> GreenletClocks | None:
        """Those of this process, where a greenlet runs; None in a thread's main greenlet."""
        greenlet: Any = modules.get("greenlet")
        if greenlet is None or greenlet.getcurrent().parent is None:
            return None
        if self._greenlets is None:
            self._greenlets = GreenletClocks(greenlet)
            if "gevent" in modules:
                self._lines = self._buffer
        return self._greenlets

    def _look_at(self, worker: Any) -> None:  # noqa: ANN401 - any worker class
        """See, once in a process, whether its worker is one that cannot be recorded so."""
        self._asgi = hasattr(worker, "asgi")
        if self._asgi:
            worker.log.warning(
                "sim.reading.recorder records no request of an ASGI worker: expected "
                "post_worker_init = sim.reading.asgi_recorder.record_asgi(...)"
            )


def _waited(request: Any) -> int | None:  # noqa: ANN401 - HTTP/2's are others
    """How long the last byte of a request has been there, ms; None where that is not known.

    The kernel knows it of a TCP connection, on Linux: the wait in the accept queue and for a thread
    are in it. Its tick cuts it, to 1-10 ms.
    """
    if _TCP_INFO is None:
        return None
    try:
        connection = request.unreader.sock
        (since,) = _last_data(connection.getsockopt(_TCP, _TCP_INFO, _SIZE))
    except (AttributeError, OSError, struct.error):
        # An HTTP/2 stream, or a Unix socket.
        return None
    return int(since)
