"""`ThreadWorker` (gunicorn/workers/gthread.py), drawn from its source.

::

                  +------------------------- worker ---------------------------+
    accept queue --> main thread --enqueue_req--> FIFO queue --> pool threads   |
                  |   ^  accept, while nr_conns < worker_connections   |        |
                  |   +---------------- finish_request ----------------+        |
    kept client ----> keepalived_conns (at most `keepalive` s idle)             |
                  +-------------------------------------------------------------+

The main thread accepts whether or not a pool thread is free, so requests wait in the worker's
own queue while another worker's threads idle. It also finishes every request. All threads of the
worker share its GIL.
"""

from __future__ import annotations

from collections import deque
from itertools import count

from sim.costs import Costs
from sim.experiment import Server
from sim.model.client import Clients
from sim.model.clock import Call, Clock
from sim.model.connection import Connection
from sim.model.cpu import Gil
from sim.model.kernel import ListeningSocket
from sim.model.recorder import Recorder

#: s of `select(timeout=1.0)`: an idle main thread takes a turn, and heartbeats, this often.
SELECT_TIMEOUT = 1.0


class PoolThread:
    """One thread of the pool.

    Constants: ``number`` (from 1).
    State: ``connection`` (whose request it runs), ``io_over`` (when that request's I/O is done).
    """

    __slots__ = ("connection", "io_over", "number")

    def __init__(self, clock: Clock, worker: ThreadWorker, number: int) -> None:
        self.number = number
        self.connection: Connection | None = None
        self.io_over = Call(clock, lambda _: worker._after_io(self))


class ThreadWorker:
    """One gthread worker.

    Constants: ``boot_order``, ``worker_connections``, ``max_keepalived``, ``keepalive``, and the
    parts that it is wired to.

    State, under Gunicorn's names where it has one:
        nr_conns: connections that it holds.
        accepting: whether the listener is registered with its poller.
        registration: when that was, as a number that grows; see `sim.model.kernel`.
        keepalived_conns: idle connections, the oldest first; a dict, for quick removal.
        requests: connections whose request waits for a thread.
        idle_threads: threads without a request.
        finished: connections whose request is done and which the main thread has yet to see.
        readable: idle connections that have become readable.
        in_turn: whether the main thread is awake.
        turns: turns that the main thread has taken.
        waited: s that requests have waited for a thread, in total.
        longest: most requests that ever waited for a thread.
    """

    def __init__(
        self,
        clock: Clock,
        boot_order: int,
        server: Server,
        costs: Costs,
        gil: Gil,
        listener: ListeningSocket,
        clients: Clients,
        recorder: Recorder,
        registrations: count[int],
    ) -> None:
        self.clock = clock
        self.boot_order = boot_order
        self.worker_connections = server.worker_connections
        self.max_keepalived = server.worker_connections - server.threads
        self.keepalive = float(server.keepalive) if clients.keep else 0.0
        self.costs = costs
        self.gil = gil
        self.listener = listener
        self.clients = clients
        self.recorder = recorder
        self.registrations = registrations
        self.registration = 0
        self._answers_in_passing = not clients.answers_matter
        self.nr_conns = 0
        self.accepting = False
        self.keepalived_conns: dict[Connection, None] = {}
        self.requests: deque[Connection] = deque()
        self.idle_threads = deque(
            PoolThread(clock, self, number) for number in range(1, server.threads + 1)
        )
        self.finished: deque[Connection] = deque()
        self.readable: deque[Connection] = deque()
        self.in_turn = False
        self.turns = 0
        self.waited = 0.0
        self.longest = 0

    def run(self) -> None:
        """Enter the main loop."""
        self._next_turn()

    # The main thread.

    def wake(self) -> None:
        """The listener has become readable, and this worker won the race for it."""
        self._begin_turn()

    def on_readable(self, connection: Connection) -> None:
        """A kept connection has become readable."""
        if connection in self.keepalived_conns:
            del self.keepalived_conns[connection]
            self.readable.append(connection)
            self._interrupt_sleep()
        # Otherwise the main thread has yet to register it, and will find it readable then.

    def _interrupt_sleep(self) -> None:
        """Begin a turn, if the main thread sleeps in epoll."""
        if not self.in_turn:
            if self.accepting:
                self.listener.sleeping.remove(self)
            self._begin_turn()

    def _next_turn(self) -> None:
        """The head of `run()`'s loop: register or unregister the listener, then poll."""
        can_accept = self.nr_conns < self.worker_connections
        if can_accept != self.accepting:
            self.accepting = can_accept
            self.registration = next(self.registrations)
        if self.finished or self.readable or (can_accept and self.listener.queue):
            self._begin_turn()
            return
        self.in_turn = False
        if can_accept:
            self.listener.sleep(self)
        if self.keepalived_conns:
            self._sleep_for(self.turns)

    def _sleep_for(self, turns: int) -> None:
        """Sleep in `select(timeout=1.0)`: only expiry of kept connections depends on its end."""

        def on_timeout(_: Call) -> None:
            if self.turns == turns and not self.in_turn:
                self._interrupt_sleep()

        Call(self.clock, on_timeout).after(SELECT_TIMEOUT)

    def _begin_turn(self) -> None:
        """Handle what is ready: at most one `accept()`, and every callback."""
        self.in_turn = True
        self.turns += 1
        connection = self.listener.accept() if self.accepting else None
        finished, readable = len(self.finished), len(self.readable)
        costs = self.costs
        if connection is not None and self.idle_threads and not finished and not readable:
            # The thread gets the GIL as soon as the main thread drops it: one turn on the core,
            # during which a worker without a GIL to give would not win another connection.
            thread = self.idle_threads.popleft()
            thread.connection = connection
            self.waited += costs.accept
            self.gil.compute(costs.accept + costs.request, self._end_accept, thread)
            return
        seconds = costs.finish * (finished + readable)
        if connection is not None:
            seconds += costs.accept
        self.gil.compute(seconds, self._end_turn, (connection, finished, readable))

    def _end_turn(self, handled: tuple[Connection | None, int, int]) -> None:
        connection, finished, readable = handled
        if connection is not None:
            self._accepted(connection)
            self._enqueue_req(connection)
        for _ in range(finished):
            self._finish_request(self.finished.popleft())
        for _ in range(readable):
            self._on_client_socket_readable(self.readable.popleft())
        if self.keepalived_conns:
            self._murder_keepalived()
        self._next_turn()

    def _accepted(self, connection: Connection) -> None:
        self.nr_conns += 1
        self.gil.cores.last_begun = self.clock.time
        connection.worker = self
        row = connection.row
        rows = self.recorder.requests
        rows.accepted[row] = connection.accepted - self.recorder.start
        rows.worker[row] = self.boot_order

    def _end_accept(self, thread: PoolThread) -> None:
        """The main thread has accepted, and a thread is about to call the application."""
        assert thread.connection is not None, "a thread that runs has a connection"
        self._accepted(thread.connection)
        self._call_application(thread)
        self._next_turn()

    def _finish_request(self, connection: Connection) -> None:
        if not connection.keep:
            self.nr_conns -= 1
            return
        connection.timeout = self.clock.time + self.keepalive
        if connection.row >= 0:
            # The client's next request was quicker than this thread.
            self.readable.append(connection)
        else:
            self.keepalived_conns[connection] = None

    def _on_client_socket_readable(self, connection: Connection) -> None:
        connection.accepted = self.clock.time
        rows = self.recorder.requests
        rows.accepted[connection.row] = self.clock.time - self.recorder.start
        rows.worker[connection.row] = self.boot_order
        self._enqueue_req(connection)

    def _murder_keepalived(self) -> None:
        now = self.clock.time
        while self.keepalived_conns:
            connection = next(iter(self.keepalived_conns))
            if connection.timeout > now:
                break
            del self.keepalived_conns[connection]
            self.nr_conns -= 1
            self.clients.closed(connection)

    # The pool.

    def _enqueue_req(self, connection: Connection) -> None:
        if self.idle_threads:
            self._handle(self.idle_threads.popleft(), connection)
            return
        self.requests.append(connection)
        self.longest = max(self.longest, len(self.requests))

    def _handle(self, thread: PoolThread, connection: Connection) -> None:
        """`handle()`: a thread takes a connection, reads the request and calls the application."""
        thread.connection = connection
        self.waited += self.clock.time - connection.accepted
        self.gil.compute(self.costs.request, self._call_application, thread)

    def _call_application(self, thread: PoolThread) -> None:
        connection = thread.connection
        assert connection is not None, "a thread that runs has a connection"
        rows, row = self.recorder.requests, connection.row
        now = self.clock.time
        self.gil.cores.last_begun = now
        rows.started[row] = now - self.recorder.start
        rows.thread[row] = thread.number
        connection.keep = self.keepalive > 0 and len(self.keepalived_conns) < self.max_keepalived
        io = rows.io[row]
        if io > 0:
            thread.io_over.after(io + self.costs.timer_slack)
        else:
            self.gil.go_on(rows.cpu[row] + self.costs.respond, self._respond, thread)

    def _after_io(self, thread: PoolThread) -> None:
        connection = thread.connection
        assert connection is not None, "a thread that waits has a connection"
        seconds = self.recorder.requests.cpu[connection.row] + self.costs.respond
        if self._answers_in_passing and not self.requests and not self.in_turn:
            # The main thread gets the GIL as soon as this thread drops it, and has nothing else
            # to do: one turn on the core. The client had its answer when the thread's part ended.
            self.gil.compute(seconds + self.costs.finish, self._respond_and_finish, thread)
        else:
            self.gil.compute(seconds, self._respond, thread)

    def _respond(self, thread: PoolThread) -> None:
        """The response is sent: tell the main thread, and take the next request."""
        connection = thread.connection
        assert connection is not None, "a thread that responds has a connection"
        self.finished.append(connection)
        self.clients.answer(connection)
        self._take_next(thread)
        self._interrupt_sleep()

    def _respond_and_finish(self, thread: PoolThread) -> None:
        """`_respond`, and then `finish_request()` on the main thread, of a new connection."""
        assert thread.connection is not None, "a thread that responds has a connection"
        self.clients.answer_in_passing(thread.connection, self.costs.finish)
        self.nr_conns -= 1
        self._take_next(thread)
        if not self.accepting and not self.in_turn:
            self._next_turn()

    def _take_next(self, thread: PoolThread) -> None:
        if self.requests:
            self._handle(thread, self.requests.popleft())
        else:
            thread.connection = None
            self.idle_threads.append(thread)
