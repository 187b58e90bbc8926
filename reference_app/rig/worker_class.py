"""What Gunicorn is told of an experiment's worker class: a path, and an environment."""

from __future__ import annotations

from typing import Final

from sim.experiment import Server

#: Names the ``limit_concurrency`` of `reference_app.rig.limited_worker` in its environment.
LIMIT: Final = "GUNICORN_RIG_LIMIT_CONCURRENCY"

#: Uvicorn's worker with that limit.
LIMITED: Final = "reference_app.rig.limited_worker.LimitedWorker"


def path_of(server: Server) -> str:
    """The worker class as ``--worker-class`` takes it."""
    return LIMITED if _limited(server) else server.traits.spellings[0]


def environment_of(server: Server) -> dict[str, str]:
    """The variables that the worker class reads."""
    return {LIMIT: str(server.limit_concurrency)} if _limited(server) else {}


def _limited(server: Server) -> bool:
    return server.worker_class == "uvicorn" and server.limit_concurrency is not None
