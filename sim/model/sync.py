"""`SyncWorker` (gunicorn/workers/sync.py): one request at a time, accepted when it is free.

::

    accept queue --accept() until EAGAIN, then select()--> the worker, which closes every time

Requests therefore wait in the kernel's accept queue, which all workers share.
"""

from __future__ import annotations

from sim.costs import Costs
from sim.model.client import Clients
from sim.model.clock import Call, Clock
from sim.model.connection import Connection
from sim.model.cpu import Gil
from sim.model.kernel import ListeningSocket
from sim.model.recorder import Recorder


class SyncWorker:
    """One sync worker.

    Constants: ``boot_order`` and the parts that it is wired to.
    State: ``connection`` (that it serves), ``io_over`` (when that request's I/O is done).
    ``waited`` and ``longest`` stay 0: nothing ever waits inside.
    """

    def __init__(
        self,
        clock: Clock,
        boot_order: int,
        costs: Costs,
        gil: Gil,
        listener: ListeningSocket,
        clients: Clients,
        recorder: Recorder,
    ) -> None:
        self.boot_order = boot_order
        self.costs = costs
        self.gil = gil
        self.listener = listener
        self.clients = clients
        self.recorder = recorder
        self.registration = boot_order
        self.waited = 0.0
        self.longest = 0
        self.connection: Connection | None = None
        self.io_over = Call(clock, self._after_io)

    def run(self) -> None:
        """Enter the main loop: accept until EAGAIN, then sleep in `select()`."""
        connection = self.listener.accept()
        if connection is None:
            self.listener.sleep(self)
            return
        self.connection = connection
        connection.worker = self
        rows, row = self.recorder.requests, connection.row
        rows.accepted[row] = connection.accepted - self.recorder.start
        rows.worker[row] = self.boot_order
        rows.thread[row] = 1
        self.gil.compute(self.costs.request, self._call_application, row)

    def wake(self) -> None:
        """The listener has become readable, and this worker won the race for it."""
        self.run()

    def on_readable(self, connection: Connection) -> None:
        """Never called: this worker keeps no connection."""
        raise AssertionError(f"a sync worker has no kept connection, not {connection}")

    def _call_application(self, row: int) -> None:
        rows = self.recorder.requests
        rows.started[row] = self.gil.clock.time - self.recorder.start
        io = rows.io[row]
        if io > 0:
            self.io_over.after(io + self.costs.timer_slack)
        else:
            self.gil.go_on(rows.cpu[row] + self.costs.respond, self._respond, None)

    def _after_io(self, _: Call) -> None:
        assert self.connection is not None, "a worker that waits has a connection"
        cpu = self.recorder.requests.cpu[self.connection.row]
        self.gil.compute(cpu + self.costs.respond, self._respond, None)

    def _respond(self, _: None) -> None:
        assert self.connection is not None, "a worker that responds has a connection"
        self.clients.answer(self.connection)
        self.connection = None
        self.gil.go_on(self.costs.sync_finish, self._finish, None)

    def _finish(self, _: None) -> None:
        """`util.close_graceful()` is over: the connection is closed on both sides."""
        self.run()
