"""`ASGIWorker` (gunicorn/workers/gasgi.py) and `ASGIProtocol` (gunicorn/asgi/protocol.py).

======== ======================= ==================== =====================================
step     costs                   is over in           is followed by
======== ======================= ==================== =====================================
accept   accept                  _accepted            parse, three turns of the loop later
parse    request, first_request  handle_request       I/O, two turns later
I/O      io, timer_slack         _after_io            compute, send, a turn later
send     cpu, respond            _respond             finish
finish   finish                  _finish              the next request of the connection
======== ======================= ==================== =====================================

Such are the steps of an endpoint that is declared with ``async def``; see
`sim.model.gunicorn.asyncio_worker` for the others, and for what it shares with uvicorn's worker.

`_serve()` is a task: it heartbeats and looks for `alive` once a second, and not while another task
computes or blocks. So the master takes a worker for dead whose request computes for `timeout` s.
SIGABRT is a callback of the loop, which comes too late then: SIGKILL a turn of the master's loop
later ends the process, and all that it held is lost.

`_shutdown()` closes the listener and waits for every connection to end, idle ones too, but not for
requests whose clients have left, for `graceful_timeout` s at most. It does not heartbeat meanwhile:
where `timeout` is over first, the master kills it. Some releases still count connections that the
worker has closed before the client (`connection_lost()` returns too early), and so always wait as
long as they may.

`backlog` is not passed on to asyncio, which listens with its own default, and `worker_connections`
is compared with nothing.
"""

from __future__ import annotations

from typing import Final

from sim.experiment.worker_class import ASYNCIO_BACKLOG
from sim.model.connection import Connection
from sim.model.cpython.gil import ROUNDING
from sim.model.engine.infinity import inf
from sim.model.gunicorn.asyncio_worker import AsyncioWorker
from sim.model.gunicorn.worker import Parent
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.wiring import Wiring

#: s of `asyncio.sleep(1.0)` in `_serve()`: heartbeat, and look for `alive`.
SLEEP: Final = 1.0

#: s of `asyncio.sleep(0.1)` in `_shutdown()`: look for the end of the last connection.
STOP_SLEEP: Final = 0.1


class ASGIWorker(AsyncioWorker):
    """One asgi worker; see `AsyncioWorker` for what it shares with uvicorn's.

    Constants, of the release: ``expires`` (whether idle connections do, after ``keepalive`` s),
    ``can_hurry`` (whether SIGQUIT and SIGINT end requests), ``grace`` (s until it cancels the
    request of a client that has left), ``counts`` (whether it still counts connections that it has
    closed). With a ``keepalive`` of 0 it closes after each response.

    State:
        closed: connections that it has closed and still counts.
        quick: ``_quick_shutdown``: whether it ends without waiting.
        aborting: whether SIGABRT has come, and the loop has yet to see it.
        cleaning: whether `_cleanup()` waits for plain functions, which it cannot cancel.
    """

    __slots__ = (
        "_then_serve",
        "aborting",
        "can_hurry",
        "cleaning",
        "closed",
        "counts",
        "expires",
        "grace",
        "quick",
    )

    def __init__(self, wiring: Wiring, parent: Parent, listener: ListeningSocket) -> None:
        silent = wiring.release.asgi_closing == "silent"
        super().__init__(wiring, parent, listener, SLEEP, ASYNCIO_BACKLOG, silent_close=silent)
        self._then_serve = self._serve_http_request
        self.expires = wiring.release.asgi_idle == "expire"
        self.can_hurry = wiring.release.asgi_quit == "quick"
        grace = wiring.release.asgi_grace
        self.grace = 0.0 if grace is None else grace
        self.counts = wiring.release.asgi_closed == "counted"
        self.closed = 0
        self.quick = False
        self.aborting = False
        self.cleaning = False

    def run(self) -> None:
        """`_serve()`: listen, and enter the main loop."""
        self.notified = self.clock.time
        self._listen()
        self.loop.wake()
        if self.aborting:
            self.loop.ready(self._abort, None)
        elif not (self.alive and self.parent_alive):
            self.loop.ready(self._look, self.ticks)

    # Connections.

    def _count_response(self) -> None:
        """`_handle_connection()` counts the request, and looks for `max_requests`."""
        if self.served >= self.max_served:
            self.reach_max_requests()

    def _is_to_keep(self) -> bool:
        """See `AsyncioWorker`."""
        return self.alive and self.keepalive > 0

    def _keep(self, connection: Connection) -> None:
        """See `AsyncioWorker`; what begins after a SIGTERM closes its connection."""
        self._wait_for_request(connection)
        if self.expires:
            self._close_after(self.keepalive, connection)

    def _finish(self, connection: Connection) -> None:
        """See `AsyncioWorker`; where no client has left, the worker closes first."""
        kept = connection.keep
        super()._finish(connection)
        self.closed += self.counts and not (kept or connection.abandoned)

    def _expire(self, connection: Connection) -> None:
        """See `EventLoopWorker`."""
        self.closed += self.counts and connection in self.conns and not connection.abandoned
        super()._expire(connection)

    def client_left(self, connection: Connection) -> None:
        """`connection_lost()`: cancel the request's task, after a grace period."""
        if connection in self.running:
            self.clock.after(self.grace, self._grace_over, (connection, connection.row))

    def handle_request(self, connection: Connection) -> None:
        """The request is parsed: `_handle_connection()`, which waits for that, is called soon."""
        self.loop.callbacks.append((self._then_serve, connection))

    def _serve_http_request(self, connection: Connection) -> None:
        """Run the application in a task of its own."""
        self.loop.callbacks.append((self._then_run_asgi, connection))

    def _begin_request(self, connection: Connection) -> None:
        super()._begin_request(connection)
        if connection.abandoned:
            # Its client had left before.
            self.client_left(connection)

    def _grace_over(self, of: tuple[Connection, int]) -> None:
        """`_cancel_task_if_pending()`; a plain function cannot be cancelled."""
        connection, row = of
        if connection in self.running and connection.row == row:
            self.loop.ready(self._cancel, connection)

    def _cancel(self, connection: Connection) -> None:
        if connection not in self.running or self._in_a_thread(connection):
            return
        if connection.hangs:
            connection.hangs = False
            self.note("hang over")
        self._expire(connection)

    # `_serve()` and `_shutdown()`.

    def _look(self, tick: int) -> None:
        """`_serve()` has slept a second, or `_shutdown()` a part of it."""
        if tick != self.ticks or self.exiting:
            return
        if self.stopping_since == inf:
            assert not (self.alive and self.parent_alive), "it looks where it is to stop"
            self._shutdown()
        waited = self.clock.time - self.stopping_since
        if self.quick or not self._counts_any() or waited > self.graceful_timeout - ROUNDING:
            self._cleanup(0)
        else:
            self._look_after(STOP_SLEEP)

    def _counts_any(self) -> bool:
        """Whether `nr_conns` is above 0: a request whose client has left does not count."""
        return self.closed > 0 or any(not connection.abandoned for connection in self.conns)

    def _shutdown(self) -> None:
        now = self.clock.time
        if self.alive:
            self.note("orphaned")
            self.notified = now
        else:
            # This turn of the loop of `_serve()` has not begun.
            self.notified = now - SLEEP
        self.alive = False
        self.silent = True
        self._stop_accepting()

    def _cleanup(self, status: int) -> None:
        """Cancel all tasks: those in the loop end at once, plain functions when they return."""
        self.status = status
        self.alive = False
        self.silent = True
        self.accepting = False
        self.listener.forget(self)
        self.cleaning = self.busy()
        if not self.cleaning:
            self._leave()
            return
        self.requests.clear()
        in_threads = {thread.connection for thread in self.threads}
        for connection in list(self.conns):
            if connection not in in_threads:
                self._expire(connection)

    def _after_call(self, connection: Connection) -> None:
        """See `AsyncioWorker`; a task that was cancelled closes its connection."""
        if not self.cleaning:
            super()._after_call(connection)
            return
        self._expire(connection)
        if not self.busy():
            self._leave()

    # Signals: callbacks of the loop, which has taken its handlers with it when it is closed.

    def handle_exit(self) -> None:
        """SIGTERM: `_serve()` finds `alive` changed when it next looks, up to a second later."""
        if self.exiting:
            self.signals.die()
        elif self.alive:
            self.alive = False
            if self.booted:
                self._look_later()

    def handle_quit(self) -> None:
        """SIGQUIT and SIGINT: the same, but without waiting for connections then."""
        self.handle_exit()
        self.quick = self.can_hurry

    def handle_abort(self) -> None:
        """SIGABRT: `sys.exit(1)` in a callback, once the loop comes round."""
        if self.exiting:
            self.signals.die()
        elif not self.aborting:
            self.aborting = True
            if self.booted:
                self.loop.ready(self._abort, None)

    def _abort(self, _: None) -> None:
        assert not self.exiting, "a loop that is closed runs no callback"
        if self.cleaning:
            # `SystemExit` ends the wait for plain functions, which Python then joins.
            self.status = 1
            self._leave()
        else:
            self._cleanup(1)
