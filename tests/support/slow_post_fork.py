"""The rig's configuration of Gunicorn, with a hook that keeps each new worker for a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from reference_app.rig import rig_config
from reference_app.rig.rig_config import (  # noqa: F401 - Gunicorn reads its settings here
    child_exit,
    control_socket_disable,
    logger_class,
    post_worker_init,
    when_ready,
)

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker


def post_fork(server: Arbiter, worker: Worker) -> None:
    """A signal that comes now is lost: the worker still has its master's handlers."""
    rig_config.post_fork(server, worker)
    time.sleep(1.0)
