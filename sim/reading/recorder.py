"""Recording of what requests demand: two hooks for a ``gunicorn.conf.py``.

::

    from sim.reading.recorder import record; pre_request, post_request = record("demand.csv")

Each request of a ``sync``, ``gthread``, ``gevent`` or ``eventlet`` worker becomes a line of the
file when it ends: when it began to run, how long it waited (I/O), how long it computed, how long it
had waited for that, its worker, and its path without the query. ``python -m sim fit demand.csv``
and ``--trace demand.csv`` read it. Workers that run ASGI applications have
`sim.reading.asgi_recorder`.

This module runs in somebody's production. It imports the standard library only, it never raises in
a request, and its file is bounded; see `sim.reading.recording_file`.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from sim.reading.greenlet_clocks import GreenletClocks
from sim.reading.recording_file import MOST_BYTES, RecordingFile

#: Where Linux's ``struct tcp_info`` has ``tcpi_last_data_recv``: ms since the socket last received
#: data, by the kernel's tick (include/uapi/linux/tcp.h: eight bytes, and the twelfth number of four
#: behind them).
_LAST_DATA: Final = struct.Struct("=52xI")

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


#: A request that has begun: s since the epoch, s of a clock that is never set, s of CPU of its
#: thread (None where its greenlet has a clock), and s that it had waited (None: unknown).
#: A tuple: it is made in a fifth of the time of a class with these names.
_Begun = tuple[float, float, float | None, float | None]


class _Recorder:
    """The requests of this process that have begun, by their identity, and the file."""

    def __init__(self, file: RecordingFile) -> None:
        self._file = file
        # Not by thread: a worker with an event loop runs many requests in one.
        self._begun: dict[int, _Begun] = {}
        self._greenlets: tuple[int, GreenletClocks] | None = None  # pid, clocks
        self._told = False

    def begin(self, worker: object, request: Request) -> None:
        """Note when a request begins; whatever goes wrong, nothing is raised."""
        try:
            if hasattr(worker, "asgi"):
                # Its hooks are called, but what a task computes cannot be seen from them.
                self._tell(worker)
                return
            if len(self._begun) >= _MOST_BEGUN:
                return
            wait = _waited(request)
            clocks, cpu = self._clocks(), None
            if clocks is not None:
                clocks.start()
            else:
                cpu = time.thread_time()
            self._begun[id(request)] = time.time(), time.monotonic(), cpu, wait
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
        ended = time.monotonic()
        try:
            begun = self._begun.pop(id(request), None)
            if begun is None:
                return
            date, began, used, wait = begun
            if used is not None:
                cpu = time.thread_time() - used
            else:
                clocks = self._clocks()
                if clocks is None:
                    return
                cpu = clocks.stop()
            io = ended - began - cpu
            self._file.write(date, io if io > 0 else 0.0, cpu, wait, request.path)
        except Exception:  # noqa: S110 - as above
            pass

    def _clocks(self) -> GreenletClocks | None:
        """Those of this process, where a greenlet runs; None in a thread's main greenlet."""
        greenlet: Any = sys.modules.get("greenlet")
        if greenlet is None or greenlet.getcurrent().parent is None:
            return None
        pid = os.getpid()
        if self._greenlets is None or self._greenlets[0] != pid:
            self._greenlets = pid, GreenletClocks(greenlet)
        return self._greenlets[1]

    def _tell(self, worker: Any) -> None:  # noqa: ANN401 - any worker class
        if not self._told:
            self._told = True
            worker.log.warning(
                "sim.reading.recorder records no request of an ASGI worker: expected "
                "post_worker_init = sim.reading.asgi_recorder.record_asgi(...)"
            )


def _waited(request: Any) -> float | None:  # noqa: ANN401 - HTTP/2's are others
    """How long the last byte of a request has been there, s; None where that is not known.

    The kernel knows it of a TCP connection, on Linux: the wait in the accept queue and for a thread
    are in it. Its tick cuts it, to 1-10 ms.
    """
    if _TCP_INFO is None:
        return None
    try:
        connection = request.unreader.sock
        (since,) = _LAST_DATA.unpack(connection.getsockopt(_TCP, _TCP_INFO, _LAST_DATA.size))
    except (AttributeError, OSError, struct.error):
        # An HTTP/2 stream, or a Unix socket.
        return None
    return float(since) / 1000
