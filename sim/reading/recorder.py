"""Recording of what requests demand: two hooks for a ``gunicorn.conf.py``.

::

    from sim.reading.recorder import record; pre_request, post_request = record("demand.csv")

Each request of a ``sync`` or ``gthread`` worker becomes a line of the file when it ends: when its
thread began to run it, how long it waited (I/O), how long it computed, and its path without the
query. ``python -m sim fit demand.csv`` and ``--trace demand.csv`` read it.

This module runs in somebody's production. It imports the standard library only; it never raises in
a request; a line is one ``write(2)`` to a file that is open to append, so a crash loses none that
is over, and workers, reloads and restarts share the file; it stops at `MOST_BYTES`.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

# `time` is imported whole: a web page, which reads traces, has no `time.thread_time`.

#: The first line of the file.
HEADER: Final = "recorded_s,io_s,cpu_s,path"

#: Bytes at which a file is full: some two million requests.
MOST_BYTES: Final = 100_000_000

#: Longest path that is kept, in characters.
MOST_PATH: Final = 200

#: Lines between two looks at the size of the file, which other processes write to as well.
LINES: Final = 1000

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
    recorder = _Recorder(path, most_bytes)
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


class _Recorder:
    """The file of one process, and the clocks of each of its threads."""

    def __init__(self, path: str, most_bytes: int) -> None:
        self._path = os.path.abspath(path)  # noqa: PTH100 - pathlib is slow to import
        self._most = most_bytes
        self._thread = threading.local()
        self._opened: tuple[int, int] = (0, -1)  # pid, file descriptor
        self._opening = threading.Lock()
        self._lines = 0

    def begin(self, worker: object, request: Request) -> None:  # noqa: ARG002
        """Note when the thread begins its request."""
        self._thread.began = time.time(), time.thread_time()

    def end(
        self,
        worker: object,  # noqa: ARG002
        request: Request,
        environ: object,  # noqa: ARG002
        response: object,  # noqa: ARG002
    ) -> None:
        """Write the line of the thread's request; whatever goes wrong, nothing is raised."""
        computed, ended = time.thread_time(), time.time()
        try:
            arrived, cpu_began = self._thread.began
            cpu = computed - cpu_began
            # The clock that has the date may be set back.
            io = max(0.0, ended - arrived - cpu)
            pid, descriptor = self._opened
            if pid != os.getpid():
                descriptor = self._open()
            if descriptor >= 0:
                path = _written(request.path)
                os.write(descriptor, b"%.6f,%.6f,%.6f,%b\n" % (arrived, io, cpu, path))
                self._lines += 1
                if self._lines % LINES == 0 and os.fstat(descriptor).st_size >= self._most:
                    # Not closed: another thread may be about to write, and to a client's socket
                    # that has got the same number by then.
                    self._opened = os.getpid(), -1
        except Exception:  # noqa: S110 - a request is worth more than its line
            pass

    def _open(self) -> int:
        """Open the file for this process; -1 where it cannot be, or is full."""
        with self._opening:
            if self._opened[0] == os.getpid():
                return self._opened[1]
            opened = -1
            try:
                descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
                # Of several workers that begin at once, one writes the header.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                size = os.fstat(descriptor).st_size
                if size == 0:
                    os.write(descriptor, f"{HEADER}\n".encode())
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                if size < self._most:
                    opened = descriptor
            finally:
                # Not before: another thread that finds this process here takes what is beside it.
                self._opened = os.getpid(), opened
            return opened


@lru_cache(maxsize=4096)
def _written(path: str) -> bytes:
    """A path as a cell of the file: without what would end the cell or the line."""
    kept = path[:MOST_PATH].encode("ascii", "replace").decode()
    return "".join("?" if each == "," or not each.isprintable() else each for each in kept).encode()
