"""Signals that a worker process gets: some are lost, some end it, and its handlers see others.

A signal that comes before `init_signals` is lost. Until then the child has the master's handlers,
and they queue the signal in the child's copy of the master's queue, which is never read. The
worker's handlers are methods of `Worker`, as in gunicorn/workers/base.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.model.engine.clock import Call
from sim.model.engine.infinity import inf

if TYPE_CHECKING:
    from sim.model.gunicorn.worker import Worker


class Signals:
    """The signals of one process.

    State:
        handled: whether `init_signals` has run.
        stopped_at: when SIGSTOP stopped the process, s; infinity while it runs.
        pending: signals that came while it was stopped, in their order.
    """

    __slots__ = ("_worker", "handled", "pending", "stopped_at")

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.handled = False
        self.stopped_at = inf
        self.pending: list[str] = []

    def deliver(self, signal: str) -> None:
        """SIG``signal`` has been sent to a process that has not ended."""
        worker = self._worker
        if signal == "KILL":
            self.die()
        elif signal == "CONT":
            self._continue()
        elif self.stopped_at < inf:
            self.pending.append(signal)
        elif signal == "STOP":
            self._stop()
        elif worker.finalizing or (signal == "ABRT" and not self.handled):
            # The default action: there is no handler. The master, which forked it, has none of
            # SIGABRT either.
            self.die()
        elif self.handled:
            self._handle(signal)

    def die(self) -> None:
        """End the process a moment later: right after `kill(2)` the master still finds it alive."""
        worker = self._worker
        Call(worker.clock, lambda _: worker.end(None)).after(worker.life_costs.kill)

    def _stop(self) -> None:
        worker = self._worker
        self.stopped_at = worker.clock.time
        worker.listener.forget(worker)
        worker.gil.stop()
        # The master does not set SA_NOCLDSTOP.
        worker.parent.child_changed()

    def _continue(self) -> None:
        if self.stopped_at == inf:
            return
        worker = self._worker
        worker.notified = worker.last_update()
        self.stopped_at = inf
        worker.gil.resume()
        worker.parent.child_changed()
        pending, self.pending = self.pending, []
        for signal in dict.fromkeys(pending):
            worker.kill(signal)
        worker.look_up()

    def _handle(self, signal: str) -> None:
        """The handlers of `init_signals()`, run by the main thread."""
        if signal == "TERM":
            self._worker.handle_exit()
        elif signal == "ABRT":
            self._worker.handle_abort()
        elif signal == "INT":
            self._worker.handle_interrupt()
        else:
            self._worker.handle_quit()
