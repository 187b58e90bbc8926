"""Traps: crashes and hangs that an experiment sets for the next requests of a worker.

A crash ends the process, as a fault in a C extension or the out-of-memory killer would. A hang
lengthens the I/O of a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.model.engine.clock import Call

if TYPE_CHECKING:
    from sim.model.gunicorn.worker import Worker


class Traps:
    """The traps of one worker.

    Attributes:
        crash: whether the next request ends the process.
        hangs: the next requests that hang.
        seconds: s that each of them hangs.
    """

    __slots__ = ("_worker", "crash", "hangs", "seconds")

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.crash = False
        self.hangs = 0
        self.seconds = 0.0

    def spring_crash(self) -> bool:
        """Whether the request that starts now ends the process."""
        worker = self._worker
        if not self.crash or worker.ended:
            return False
        self.crash = False
        worker.note("crash")
        # A moment later: the turn of its GIL has to be over.
        Call(worker.clock, lambda _: worker.end(1)).after(0.0)
        return True

    def spring_hang(self) -> float:
        """How long the request that starts now hangs, s; mostly 0."""
        if not self.hangs:
            return 0.0
        self.hangs -= 1
        self._worker.note("hang")
        return self.seconds
