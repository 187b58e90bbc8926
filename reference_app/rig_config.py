"""What the rig adds to Gunicorn's configuration (``--config python:reference_app.rig_config``).

Every setting of an experiment is a flag on Gunicorn's command line. Here is what has no flag:
the log's clock, lines that name workers by boot order, and an end when the rig ends.
"""

from __future__ import annotations

import ctypes
import logging
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gunicorn.glogging import Logger

from reference_app.gunicorn_log import FORMAT

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.config import Config
    from gunicorn.workers.base import Worker

#: Names the rig's pid in the master's environment.
RIG_PID = "GUNICORN_RIG_PID"

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

# The same hook as in production, whose file has a name that cannot be imported.
_production_post_fork: Callable[[Arbiter, Worker], None] = runpy.run_path(
    str(Path(__file__).with_name("gunicorn.conf.py"))
)["post_fork"]


class _MonotonicFormatter(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return f"{time.monotonic():.6f}"


class MonotonicLogger(Logger):  # type: ignore[misc]  # Gunicorn has no types
    """Gunicorn's logger, with the clock and format of `reference_app.gunicorn_log`."""

    def setup(self, cfg: Config) -> None:
        """Set the handlers up, at start and at each reload."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(_MonotonicFormatter(FORMAT))


logger_class = MonotonicLogger


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Log the birth first, then do what production does."""
    server.log.info("Worker %s forked (pid: %s)", worker.age, worker.pid)
    _production_post_fork(server, worker)


def post_worker_init(worker: Worker) -> None:
    """Log that the worker is about to accept connections."""
    worker.log.info("Worker %s ready (pid: %s)", worker.age, worker.pid)


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Log that the master has reaped the worker."""
    server.log.info("Worker %s reaped (pid: %s)", worker.age, worker.pid)


def _end_with_the_rig(rig: int) -> None:
    """Let the kernel send SIGTERM to this process when the rig dies, even of SIGKILL.

    Workers do not inherit it: how they notice a dead master is Gunicorn's affair.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != rig:  # It died before we asked.
        sys.exit(1)


if RIG_PID in os.environ:
    _end_with_the_rig(int(os.environ.pop(RIG_PID)))
