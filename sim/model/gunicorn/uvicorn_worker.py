"""`UvicornWorker` (uvicorn_worker/_workers.py) and uvicorn's `Server` (uvicorn/server.py).

======== ======================= ==================== =====================================
step     costs                   is over in           is followed by
======== ======================= ==================== =====================================
accept   accept                  _accepted            parse, three turns of the loop later
parse    request, first_request  handle_request       I/O, a turn later
I/O      io, timer_slack         _after_io            compute, send, a turn later
send     cpu, respond            _respond             finish
finish   finish                  _finish              the next request of the connection
======== ======================= ==================== =====================================

Such are the steps of an endpoint that is declared with ``async def``; see
`sim.model.gunicorn.asyncio_worker` for the others, and for what it shares with Gunicorn's own.

`main_loop()` is a task: `on_tick()` looks whether it is to stop ten times a second, and heartbeats
once a second, but only if the last heartbeat is more than half of `timeout` old (`timeout_notify`).
So a request that computes or blocks for little more than half of `timeout` may be too long. SIGABRT
has no handler: it ends the process at once, and all that it held is lost.

`shutdown()` closes the listener and idle connections, and waits for all requests, however long they
take (`timeout_graceful_shutdown` is None). It does not heartbeat meanwhile: the master ends the
wait with SIGABRT when `timeout` is over, or with SIGKILL when `graceful_timeout` is, if it stops
too.

Beyond `limit_concurrency` a request is answered by `service_unavailable` (uvicorn/protocols/http/
flow_control.py): 503, and the connection is closed. It counts connections, idle ones and the
request's own among them, and requests under way (`H11Protocol.handle_events`), of its own worker.

It has no eye on its master: one that was left alone serves on.

Read in uvicorn 0.54 and uvicorn-worker 0.4.
"""

from __future__ import annotations

from collections import deque
from math import floor
from typing import Final

from sim.model.connection import Connection
from sim.model.cpython.calls import SEND
from sim.model.engine.infinity import inf
from sim.model.gunicorn.asyncio_worker import AsyncioWorker
from sim.model.gunicorn.worker import Parent
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.wiring import Wiring

#: s of `asyncio.sleep(0.1)` in `main_loop()` and in `shutdown()`.
SLEEP: Final = 0.1

#: Of the ticks of `main_loop()`, one in so many may heartbeat.
NOTIFIES: Final = 10


class UvicornWorker(AsyncioWorker):
    """One worker of uvicorn's; see `AsyncioWorker` for what it shares with Gunicorn's own.

    Constants: ``timeout_notify`` (s that a heartbeat is to be older than before the next),
    ``limited`` (whether there is a ``limit_concurrency``). With a ``keepalive`` of 0 it closes
    in the turn after each response, of which it has not told the client.

    State:
        connections: that have been made and not lost (`ServerState`); none without a limit.
        should_exit: whether a signal has come.
        force_exit: whether a second one has, so that it waits for nothing.
        captured: whether the process ends by the signal that has come, not by itself.
        counter: ticks of `main_loop()` so far.
        ticked_at: when the last of them was, s.
        expired: kept connections whose timer is due, and since when, s.
    """

    __slots__ = (
        "_then_expire",
        "_then_refuse",
        "_then_unavailable",
        "captured",
        "connections",
        "counter",
        "expired",
        "force_exit",
        "limit_concurrency",
        "limited",
        "should_exit",
        "ticked_at",
        "timeout_notify",
    )

    def __init__(self, wiring: Wiring, parent: Parent, listener: ListeningSocket) -> None:
        server = wiring.experiment.server
        sleep = SLEEP + wiring.experiment.costs.timer_slack
        super().__init__(wiring, parent, listener, sleep, server.backlog, silent_close=True)
        # It writes a line of the access log before it sends the response, which takes as long.
        self.respond_calls = SEND
        self.timeout_notify = server.timeout / 2
        self.limited = server.limit_concurrency is not None
        self.limit_concurrency = server.limit_concurrency or 0
        self._then_unavailable = self._service_unavailable
        self._then_refuse = self._refuse
        self.connections: dict[Connection, None] = {}
        self.should_exit = False
        self.force_exit = False
        self.captured = False
        self.counter = 0
        self.ticked_at = 0.0
        self._then_expire = self._expire
        self.expired: deque[tuple[Connection, float]] = deque()

    def run(self) -> None:
        """`serve()`: listen, and enter the main loop, whose first tick heartbeats."""
        self.notified = self.ticked_at = self.clock.time
        self._listen()
        self.loop.wake()

    # Connections.

    def _connection_made(self, connection: Connection) -> None:
        """See `AsyncioWorker`; from now on the connection counts."""
        if self.limited:
            self.connections[connection] = None
        super()._connection_made(connection)

    def _end(self, connection: Connection) -> None:
        super()._end(connection)
        self.connections.pop(connection, None)

    def client_left(self, connection: Connection) -> None:
        """`connection_lost()`: the request goes on, and its connection does not count any more."""
        if self.limited:
            self.loop.ready(self._connection_lost, connection)

    def _connection_lost(self, connection: Connection) -> None:
        self.connections.pop(connection, None)

    def _count_response(self) -> None:
        """`on_response_complete()` counts the request; `on_tick()` looks for `max_requests`."""
        if self.served == self.max_served:
            self._look_later()

    def _is_to_keep(self) -> bool:
        """See `AsyncioWorker`: `shutdown()` sets `keep_alive` of each cycle to False."""
        return self.stopping_since == inf

    def _keep(self, connection: Connection) -> None:
        """See `AsyncioWorker`: the timer runs until data comes."""
        self._wait_for_request(connection)
        self._close_after(self.keepalive, connection)

    def _time_out(self, of: tuple[Connection, float]) -> None:
        """The timer is due, and the next poll puts it behind the sockets that are readable.

        `data_received()` cancels it. Gunicorn's own worker cancels its timer a turn later, which is
        too late then.
        """
        if self._is_due(of):
            self.expired.append(of)
            self.loop.wake()

    def _poll(self) -> None:
        """See `EventLoopWorker`: what has come by now is among the callbacks."""
        super()._poll()
        while self.expired:
            of = self.expired.popleft()
            if self._is_due(of):
                connection, _ = of
                del self.waiting[connection]
                self.loop.callbacks.append((self._then_expire, connection))

    # Requests beyond the limit.

    def handle_request(self, connection: Connection) -> None:
        """The request is parsed: a task will run the application, or `service_unavailable`."""
        if self.limited:
            # Its own task is not among them yet.
            tasks = len(self.running) - 1
            if max(len(self.connections), tasks) >= self.limit_concurrency:
                self.loop.callbacks.append((self._then_unavailable, connection))
                return
        super().handle_request(connection)

    def _service_unavailable(self, connection: Connection) -> None:
        """The task runs. It costs what any response does, as far as anybody has measured."""
        assert connection in self.conns, "a request under way keeps its connection"
        connection.pace = self.end_pace.step(self.clock.time)
        self.loop.compute(self.costs.respond * connection.pace, self._then_refuse, connection)

    def _refuse(self, connection: Connection) -> None:
        """The 503 is sent: it counts as a response, and closes its connection."""
        del self.running[connection]
        self.served += 1
        self._count_response()
        connection.keep = False
        self.clients.fail(connection)
        self.loop.compute(self.costs.finish * connection.pace, self._then_close, connection)

    # `main_loop()`.

    def last_update(self) -> float:
        """See `Worker`; of a worker that sleeps, with the ticks that it has had by now."""
        if self.asleep() and not self.silent:
            self._tick_over(min(self.clock.time, self.signals.stopped_at))
        return self.notified

    def _tick_over(self, now: float) -> None:
        """`on_tick()`, as often as it was due by ``now``.

        Only a loop that sleeps has had more than one tick since it was last asked for.
        """
        ticks = floor((now - self.ticked_at) / self.poll_timeout)
        if ticks <= 0 or self.silent:
            return
        if not self.loop.asleep:
            # It was late, and counts from now.
            self._count(1, now - self.poll_timeout)
            return
        self._count(ticks, self.ticked_at)

    def _count(self, ticks: int, since: float) -> None:
        """Count ticks, the first of them a sleep after ``since``, and heartbeat at those due."""
        checks = (self.counter + ticks) // NOTIFIES - self.counter // NOTIFIES
        first = since + (NOTIFIES - self.counter % NOTIFIES) * self.poll_timeout
        for check in range(checks):
            time = first + check * NOTIFIES * self.poll_timeout
            if time - self.notified > self.timeout_notify:
                self.notified = time
        self.counter += ticks
        self.ticked_at = since + ticks * self.poll_timeout

    def _next_tick(self) -> float:
        """See `EventLoopWorker`."""
        self.last_update()
        return self.ticked_at + self.poll_timeout

    def _look(self, tick: int) -> None:
        """`on_tick()` finds that it is to stop, or `shutdown()` has slept."""
        if tick != self.ticks or self.exiting or self.ended:
            return
        if self.stopping_since == inf:
            if not self.should_exit:
                self.reach_max_requests()
            self._shutdown()
        elif self.force_exit or not self.conns:
            self._end_of_run()
            return
        self._look_after(self.poll_timeout)

    def reach_max_requests(self) -> None:
        """See `Worker`; it is `on_tick()` that finds so."""
        self.note("max_requests")
        self.alive = False

    def _shutdown(self) -> None:
        """Close the listener, and every connection of `connections` that has no request."""
        self.silent = True
        self._stop_accepting()
        for connection in list(self.conns):
            if connection not in self.running and connection not in self.unmade:
                self._expire(connection)

    def _end_of_run(self) -> None:
        """`capture_signals()` raises again what it has captured, whose default is to end."""
        if self.captured:
            self.loop.stop()
            self.signals.die()
        else:
            self._leave()

    def lose_parent(self) -> None:
        """See `Worker`: nothing compares its ppid."""
        self.parent_alive = False

    # Signals. `init_signals()` leaves them all at their defaults, until `serve()` begins.

    def handle_exit(self) -> None:
        """SIGTERM, and SIGINT: stop when `on_tick()` next looks."""
        if self.exiting or not self.booted:
            self.signals.die()
            return
        self.captured = True
        if not self.should_exit:
            self.should_exit = True
            self.alive = False
            self._look_later()

    def handle_quit(self) -> None:
        """SIGQUIT: its handler is `Worker.handle_exit()`, and nothing here reads what that sets."""
        if self.exiting or not self.booted:
            self.signals.die()

    def handle_interrupt(self) -> None:
        """SIGINT: the second signal waits for nothing."""
        if self.should_exit:
            self.force_exit = True
        self.handle_exit()

    def handle_abort(self) -> None:
        """SIGABRT, whose default is to end the process."""
        self.signals.die()
