"""What both workers with asyncio's loop do: `gasgi.py` and `uvicorn_worker.py` have the rest.

::

    accept queue --_accept_connection--> all of it, up to a backlog, in one callback
                          |
                   _make_transport --> _connection_made --> data_received --> run_asgi
                   (each in a later turn of the loop, which polls in between)
                                                             |
                      async def: in the loop <---------------+
                      def: FIFO queue --> 40 threads --> back into the loop: response

An application on Starlette or FastAPI runs plain functions in threads of anyio's: a limiter lets 40
of them run at once (`current_default_thread_limiter`, anyio/_backends/_asyncio.py), and the thread
that idled last is next. The loop reads and responds for them. All threads share the GIL, so that a
function which computes delays the loop too, and all that the worker holds.

Nothing limits the connections of a worker: it accepts whatever comes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import Any, Final

from sim.experiment.endpoint import TOTAL_TOKENS
from sim.model.connection import Connection
from sim.model.cpython.calls import LOOP_NEW, Calls, lost
from sim.model.cpython.gil import ROUNDING, Then
from sim.model.engine.infinity import inf
from sim.model.gunicorn.event_loop_worker import EventLoopWorker
from sim.model.gunicorn.pool_thread import PoolThread
from sim.model.gunicorn.worker import Parent
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.wiring import Wiring

#: Part of `Costs.to_thread` that comes before the function; the rest comes after it.
HALF: Final = 0.5


class AsyncioWorker(EventLoopWorker):
    """A worker with asyncio's loop; see `EventLoopWorker` for what every event loop has.

    Constants: ``_backlog`` (that it asks `listen(2)` for, and the most that it accepts at once),
    ``silent_close`` (whether it closes a connection without having told the client).

    State:
        served: requests that it has responded to; ``max_served`` of them are its last.
        unmade: connections that it has accepted, and that have no transport yet.
        running: connections whose request has been read, and has no response yet.
        requests: connections whose plain function waits for a thread, and since when, s.
        threads: anyio's, in the order in which they were started.
        idle_threads: those without a request; the last of them runs next.
        importing: s that its first plain function takes longer, see `Costs.first_to_thread`; 0
            after it.
    """

    __slots__ = (
        "_backlog",
        "_races",
        "_then_begin_response",
        "_then_called",
        "_then_connection_made",
        "_then_in_thread",
        "_then_make_transport",
        "_then_reported",
        "_then_returned",
        "_then_run_asgi",
        "_then_run_sync",
        "_then_send",
        "_then_slept",
        "_then_step",
        "_then_woken",
        "idle_threads",
        "importing",
        "max_served",
        "requests",
        "running",
        "served",
        "silent_close",
        "threads",
        "unmade",
    )

    def __init__(
        self,
        wiring: Wiring,
        parent: Parent,
        listener: ListeningSocket,
        sleep: float,
        backlog: int,
        *,
        silent_close: bool,
    ) -> None:
        """A worker whose `run()` sleeps for ``sleep`` s, and which listens with ``backlog``."""
        super().__init__(wiring, parent, listener, sleep, backlog, polls_between=True)
        self._backlog = backlog
        self.silent_close = silent_close
        # Counted here when they end, and by `call_application` when they begin.
        self.max_served = self.max_requests
        self.max_requests = inf
        self.accept_calls = LOOP_NEW
        self._races = wiring.stream(f"{self.name} races")
        self._then_make_transport = self._make_transport
        self._then_connection_made = self._connection_made
        self._then_step = self._after_io
        self._then_run_asgi = self.run_asgi
        self._then_run_sync = self.run_sync
        self._then_begin_response = self._begin_response
        self._then_send = self._send
        self._then_in_thread = self._in_thread
        self._then_slept = self._slept
        self._then_returned = self._returned
        self._then_reported = self._report_result
        self._then_woken = self._woken_from_sleep
        self._then_called = self._after_call
        self.served = 0
        self.running: dict[Connection, None] = {}
        self.unmade: dict[Connection, None] = {}
        self.requests: deque[tuple[Connection, float]] = deque()
        self.threads: list[PoolThread] = []
        self.idle_threads: list[PoolThread] = []
        self.importing = wiring.experiment.costs.first_to_thread

    def busy(self) -> bool:
        """See `Worker`: anyio's threads are no daemons, and Python joins them."""
        return len(self.idle_threads) < len(self.threads)

    def _listen(self) -> None:
        """`Server._start_serving()` (asyncio/base_events.py) calls `listen(2)` once more."""
        self.listener.listen(self._backlog)
        self._start_accepting()

    def _call(self, calls: Calls, seconds: float, then: Then, argument: Any) -> None:  # noqa: ANN401 - of `then`
        """See `EventLoopWorker`: threads that wait for the GIL may take it at each call."""
        losses = lost(calls, len(self.gil.waiting), self.cores, self._races)
        self.loop.compute(seconds, then, argument, losses)

    # Connections.

    def _has_accepted(self, connection: Connection) -> None:
        """`_accept_connection2()` is a task, which runs in the next turn."""
        self.unmade[connection] = None
        self.loop.callbacks.append((self._then_make_transport, connection))

    def _make_transport(self, connection: Connection) -> None:
        """`_SelectorSocketTransport.__init__` calls `connection_made()` soon: a turn later."""
        self.loop.callbacks.append((self._then_connection_made, connection))

    def _connection_made(self, connection: Connection) -> None:
        """The connection is registered with the loop, which finds what has come in its next poll.

        No timer runs on a connection that has not sent a request yet.
        """
        del self.unmade[connection]
        if connection not in self.conns:
            return  # All tasks have been cancelled meanwhile.
        if connection.ready <= self.clock.time + ROUNDING:
            self.loop.events.append((self._then_begin, connection))
        else:
            # A client that is slow on a new connection tells nobody when it sends.
            self.waiting[connection] = None
            self.clock.after(connection.ready - self.clock.time, self._sent, connection)

    def _wait_for_request(self, connection: Connection) -> None:
        """The connection is kept: the loop finds the next request in its next poll, or later."""
        if connection.row >= 0 and connection.ready <= self.clock.time:
            self.loop.events.append((self._then_begin, connection))
        else:
            self.waiting[connection] = None

    def _close_after(self, seconds: float, connection: Connection) -> None:
        """Close a kept connection unless a request comes within ``seconds`` s."""
        connection.timeout = self.clock.time + seconds
        self.clock.after(seconds, self._time_out, (connection, connection.timeout))

    def _end(self, connection: Connection) -> None:
        super()._end(connection)
        self.running.pop(connection, None)

    # The steps of a request in the loop.

    def _begin_request(self, connection: Connection) -> None:
        """`data_received()`."""
        if connection in self.conns:
            self.running[connection] = None
            super()._begin_request(connection)

    def handle_request(self, connection: Connection) -> None:
        """The request is parsed: a task will run the application."""
        self.loop.callbacks.append((self._then_run_asgi, connection))

    def run_asgi(self, connection: Connection) -> None:
        """The task runs: call the application, in the loop or in a thread."""
        if connection not in self.conns:
            return
        kind = self.kinds[self.rows.route[connection.row] if self.routed else -1]
        if kind[0] == "def":
            seconds = HALF * self.costs.to_thread * self.start_pace.at(self.clock.time)
            first, self.importing = self.importing, 0.0
            self.loop.compute(seconds + first, self._then_run_sync, connection)
            return
        self._run(connection, self.call_application(connection))

    def _begin_io(self, connection: Connection, io: float) -> None:
        """`await asyncio.sleep(io)`, or another wait that returns to the loop."""
        self.loop.later(io, self._then_woken, connection)

    def _woken_from_sleep(self, connection: Connection) -> None:
        """The timer sets a future's result, and that calls the task's step soon: a turn later."""
        self.loop.callbacks.append((self._then_step, connection))

    def _begin_response(self, connection: Connection) -> None:
        """The function has returned its response, which the loop sends."""
        seconds = self.costs.respond * connection.pace
        self._call(self.respond_calls, seconds, self._then_send, connection)

    def _send(self, connection: Connection) -> None:
        """The response is sent, and the request counts."""
        del self.running[connection]
        self.served += 1
        self._count_response()
        connection.keep = (self.silent_close or self._is_to_keep()) and self.clients.keep
        super()._send(connection)

    @abstractmethod
    def _count_response(self) -> None:
        """One more response is sent, which `max_requests` may make the last."""

    @abstractmethod
    def _is_to_keep(self) -> bool:
        """Whether the worker keeps connections whose request it has responded to now."""

    @abstractmethod
    def _keep(self, connection: Connection) -> None:
        """Wait for another request on a connection."""

    def _finish(self, connection: Connection) -> None:
        """See `EventLoopWorker`."""
        self._finished()
        if not connection.keep:
            self._end(connection)
        elif self.silent_close and not self._is_to_keep():
            self._expire(connection)
        else:
            self._keep(connection)

    # The steps of a request in a thread.

    def run_sync(self, connection: Connection) -> None:
        """`anyio.to_thread.run_sync()`: wait for the limiter, then for a thread."""
        self.requests.append((connection, self.clock.time))
        self._start_threads()
        self._note_waiting()

    def waiting_inside(self) -> int:
        """See `EventLoopWorker`: also those that wait for a thread."""
        return len(self.unbegun) + len(self.requests)

    def _start_threads(self) -> None:
        """Give requests to threads, as long as the limiter has tokens."""
        while self.requests and (self.idle_threads or len(self.threads) < TOTAL_TOKENS):
            connection, since = self.requests.popleft()
            if connection not in self.conns:
                continue
            if self.idle_threads:
                thread = self.idle_threads.pop()
            else:
                thread = PoolThread(len(self.threads) + 1, self.cores.home())
                self.threads.append(thread)
                self.pool_size = len(self.threads)
            thread.connection = connection
            self.waited += self.clock.time - since
            self.gil.compute(0.0, self._then_in_thread, thread, thread)

    def _in_a_thread(self, connection: Connection) -> bool:
        return any(thread.connection is connection for thread in self.threads)

    def _in_thread(self, thread: PoolThread) -> None:
        """The thread has woken up, and calls the function, which begins with its I/O."""
        connection = thread.connection
        assert connection is not None, "a thread that runs has a connection"
        io = self.call_application(connection)
        if not connection.abandoned:
            self.rows.thread[connection.row] = thread.number
        if io > 0:
            self.clock.after(io + self.costs.timer_slack, self._then_slept, thread)
        elif io == 0:
            self.end_io(connection)
            self.gil.go_on(self.rows.cpu[connection.row], self._then_returned, thread)

    def _slept(self, thread: PoolThread) -> None:
        connection = thread.connection
        if connection is None:
            return  # The process has ended.
        self.end_io(connection)
        self.gil.compute(self.rows.cpu[connection.row], self._then_returned, thread, thread)

    def _returned(self, thread: PoolThread) -> None:
        """The function has returned: `call_soon_threadsafe()` wakes the loop."""
        connection = thread.connection
        assert connection is not None, "a thread that runs has a connection"
        self.end_pace.computing.computed(self.rows.cpu[connection.row])
        if self.loop.stopped:
            self._report_result(thread)
            self.end_if_idle()
        else:
            self.loop.call_soon(self._then_reported, thread)

    def _report_result(self, thread: PoolThread) -> None:
        """In the loop: the thread idles, and its request's task goes on in the next turn."""
        connection, thread.connection = thread.connection, None
        assert connection is not None, "a thread that runs has a connection"
        self.idle_threads.append(thread)
        assert len(self.idle_threads) <= len(self.threads), "a thread idles once"
        self.loop.callbacks.append((self._then_called, connection))
        self._start_threads()

    def _after_call(self, connection: Connection) -> None:
        if connection in self.conns:
            seconds = HALF * self.costs.to_thread * connection.pace
            self.loop.compute(seconds, self._then_begin_response, connection)

    # The end.

    def _forget_requests(self) -> None:
        super()._forget_requests()
        self.requests.clear()
        self.running.clear()
        self.unmade.clear()
        if self.ended:
            for thread in self.threads:
                thread.connection = None
