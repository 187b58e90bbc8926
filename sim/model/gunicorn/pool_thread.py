"""A thread of a gthread worker's `ThreadPoolExecutor`."""

from __future__ import annotations

from sim.model.connection import Connection
from sim.model.linux.scheduler import Core, Thread


class PoolThread(Thread):
    """One thread of the pool.

    Constants: ``number`` (from 1).
    State: ``connection`` (whose request it runs), ``takes`` (how often it has yet to wait for the
    GIL before the application).
    """

    __slots__ = ("connection", "number", "takes")

    def __init__(self, number: int, core: Core) -> None:
        super().__init__(core)
        self.number = number
        self.connection: Connection | None = None
        self.takes = 0
