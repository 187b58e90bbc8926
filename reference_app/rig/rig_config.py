"""What the rig adds to Gunicorn's configuration (``--config python:reference_app.rig.rig_config``).

Every setting of an experiment is a flag on Gunicorn's command line. Here is what has no flag:

- the log's clock, and lines that name workers by boot order;
- boots that fail because the experiment says so;
- a signal to collect garbage;
- an end when the rig ends.
"""

from __future__ import annotations

import gc
import logging
import os
import runpy
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gunicorn.arbiter import Arbiter
from gunicorn.errors import AppImportError
from gunicorn.glogging import Logger

from reference_app.rig.gunicorn_log import CANNOT_BOOT, FORKED, FORMAT, READY, REAPED
from reference_app.rig.parent import end_with_parent
from reference_app.rig.traps import TRAPS, TrapBoard

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.workers.base import Worker

#: Names the rig's pid in the master's environment.
RIG_PID = "GUNICORN_RIG_PID"

#: Set: nobody calls `postfork()`, as in a service that has forgotten to.
NO_POSTFORK = "GUNICORN_RIG_NO_POSTFORK"

#: Set: the master freezes what it has before it forks, `gc.freeze()`.
GC_FREEZE = "GUNICORN_RIG_GC_FREEZE"

#: Makes a worker collect all its garbage; Gunicorn has no use for this signal.
COLLECT = signal.SIGRTMIN

# The same hook as in production, whose file has a name that cannot be imported.
_production_post_fork: Callable[[Arbiter, Worker], None] = runpy.run_path(
    str(Path(__file__).parents[1] / "gunicorn.conf.py")
)["post_fork"]


_board = TrapBoard.attach() if TRAPS in os.environ else None


class _MonotonicFormatter(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return f"{time.monotonic():.6f}"


class MonotonicLogger(Logger):  # type: ignore[misc]  # Gunicorn has no types
    """Gunicorn's logger, with the clock and format of `reference_app.rig.gunicorn_log`."""

    def setup(self, cfg: Config) -> None:
        """Set the handlers up, at start and at each reload."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(_MonotonicFormatter(FORMAT))


logger_class = MonotonicLogger

# Not a flag: releases before 25.1 have no such socket, and skip what they do not know here.
control_socket_disable = True


def when_ready(server: Arbiter) -> None:  # noqa: ARG001 - Gunicorn's signature
    """Freeze what the master has, the application with `preload_app`, before the first fork."""
    if GC_FREEZE in os.environ:
        gc.freeze()


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Log the birth first, then do what production does."""
    server.log.info(FORKED, worker.age, worker.pid, server.pid)
    if NO_POSTFORK not in os.environ:
        _production_post_fork(server, worker)


def post_worker_init(worker: Worker) -> None:
    """Log that the worker is about to accept connections, unless its boot is to fail."""
    exit_code = _board.boot_error() if _board is not None else 0
    if exit_code:
        worker.log.error(CANNOT_BOOT, worker.age, worker.pid)
        if exit_code == Arbiter.WORKER_BOOT_ERROR:
            raise RuntimeError("the experiment lets this boot fail")
        raise AppImportError("the experiment lets the application's import fail")
    signal.signal(COLLECT, lambda *_: gc.collect())
    if _rig_fd is not None and select.select([_rig_fd], [], [], 0.0)[0]:
        # The master ends, and has sent SIGTERM to this worker. One that came before the worker had
        # handlers of its own is lost, and the master would wait for `graceful_timeout`.
        os._exit(0)
    worker.log.info(READY, worker.age, worker.pid)


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Log that the master has reaped the worker."""
    server.log.info(REAPED, worker.age, worker.pid)


def _end_with_the_rig(rig: int, rig_fd: int) -> None:
    """End this master when the rig dies. How its workers notice that is Gunicorn's affair.

    Gunicorn tells a second master that it is one. Its parent is the first, and may die before it.
    """
    if "GUNICORN_PID" not in os.environ:
        end_with_parent(rig, signal.SIGTERM)
        return

    def wait() -> None:
        select.select([rig_fd], [], [])
        os.kill(os.getpid(), signal.SIGTERM)

    # Its workers do not have this thread.
    threading.Thread(target=wait, daemon=True).start()


#: Readable once the rig has died; None without one.
_rig_fd: int | None = None
if RIG_PID in os.environ:
    # A second master starts with the environment that the first began with.
    _rig = int(os.environ.pop(RIG_PID))
    try:
        _rig_fd = os.pidfd_open(_rig)
    except ProcessLookupError:
        sys.exit(1)
    _end_with_the_rig(_rig, _rig_fd)
