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
worker share its GIL. It heartbeats whatever the pool threads do.

It leaves its loop on SIGTERM, at `max_requests`, or when its master has died; then it accepts no
more and serves what it holds, for `graceful_timeout` s at most. Even then the process ends only
when the pool threads have run all that was queued for them: Python joins them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import inf
from typing import Final

from sim.model.connection import Connection
from sim.model.cpython.gil import Then
from sim.model.engine.clock import Call
from sim.model.engine.heap import COMPILED
from sim.model.fitted.gil import (
    CALLS_KEPT,
    CALLS_NEW,
    CROWDED,
    SEND_TAKEN_BY_ONE,
    SEND_TAKEN_BY_SEVERAL,
    SOON,
    TAKEN,
)
from sim.model.fitted.steps import AT_ONCE
from sim.model.gunicorn.pool_thread import PoolThread
from sim.model.gunicorn.worker import CLOSE_TIMEOUT, Parent, Worker
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.wiring import Wiring

#: s of `select(timeout=1.0)`: an idle main thread takes a turn, and heartbeats, this often.
SELECT_TIMEOUT: Final = 1.0

#: s by which a clock may stop short of the time that it was set to: floats.
ROUNDING: Final = 1e-9

#: s that a stopping worker keeps its idle connections (``STOP_KEEPALIVE_LINGER``).
STOP_KEEPALIVE_LINGER: Final = 2.0


class ThreadWorker(Worker):
    """One gthread worker; see `Worker` for what every class has.

    Constants: ``worker_connections``, ``max_keepalived``, ``keepalive``, ``graceful_timeout``,
    ``_keeps`` (whether it may hold a connection without a request), ``_reads_bodies`` (whether the
    application waits for bodies), ``_races`` (stream of the races for the GIL). Of the release, see
    `sim.experiment.release.Release`: ``data_timeout`` and ``drain_timeout`` (s; infinity is for
    ever), ``lingers`` (at closing), ``idle_at_stop``, ``heartbeat_at_stop``.

    State, under Gunicorn's names where it has one:
        nr_conns: connections that it holds.
        accepting: whether the listener is registered with its poller.
        keepalived_conns: idle connections, the oldest first; a dict, for quick removal.
        requests: connections whose request waits for a thread.
        idle_threads: threads without a request; the one that is to run next is on the left.
        pending_conns: connections that a thread has handed back, as their request did not come.
        finished: connections whose request is done and which the main thread has yet to see.
        readable: idle connections that have become readable.
        unseen: those that have become so in this turn, which may yet find them expired.
        in_hand: the connection that the main thread is just accepting.
        in_turn: whether the main thread is awake.
        turns: turns that the main thread has taken.
        deadline: when `graceful_timeout` is over, s; infinity before the worker stops.
    """

    __slots__ = (
        "_answers_in_passing",
        "_bodies",
        "_held",
        "_keeps",
        "_races",
        "_reads_bodies",
        "_then_after_io",
        "_then_awake",
        "_then_call_application",
        "_then_end_turn",
        "_then_respond",
        "_then_respond_and_finish",
        "_then_send",
        "accepting",
        "data_timeout",
        "deadline",
        "drain_timeout",
        "finished",
        "graceful_timeout",
        "heartbeat_at_stop",
        "idle_at_stop",
        "idle_threads",
        "in_hand",
        "in_turn",
        "keepalive",
        "keepalived_conns",
        "lingers",
        "max_keepalived",
        "nr_conns",
        "pending_conns",
        "readable",
        "requests",
        "threads",
        "turns",
        "unseen",
        "worker_connections",
    )

    def __init__(self, wiring: Wiring, parent: Parent, listener: ListeningSocket) -> None:
        super().__init__(wiring, parent, listener, SELECT_TIMEOUT)
        server = wiring.experiment.server
        self.worker_connections = server.worker_connections
        self.max_keepalived = server.worker_connections - server.threads
        self.keepalive = float(server.keepalive) if self.clients.keep else 0.0
        self.graceful_timeout = float(server.graceful_timeout)
        release = wiring.release
        self.data_timeout = inf if release.data_timeout is None else release.data_timeout
        self.drain_timeout = inf if release.drain_timeout is None else release.drain_timeout
        self.lingers = release.gthread_closing == "linger"
        self.idle_at_stop = release.idle_at_stop
        self.heartbeat_at_stop = release.heartbeat_at_stop
        # Bound once: what a request asks of the GIL and the clock would be bound with every one.
        self._then_call_application = self._call_application
        self._then_awake = self._awake
        self._then_end_turn = self._end_turn
        self._then_after_io = self._after_io
        self._then_send = self._send
        self._then_respond = self._respond
        self._then_respond_and_finish = self._respond_and_finish
        self._races = wiring.stream(f"{self.name} races")
        self._answers_in_passing = not self.clients.answers_matter
        self._keeps = self.clients.slow or self.keepalive > 0
        self.undisturbed = not (self._keeps or self.clients.reads_body)
        self.pending_conns: dict[Connection, None] = {}
        self.nr_conns = 0
        self._held: set[Connection] = set()  # only where the assertions are on
        self.accepting = False
        self.keepalived_conns: dict[Connection, None] = {}
        self.requests: deque[Connection] = deque()
        self.threads = tuple(
            PoolThread(number, self.cores.home()) for number in range(1, server.threads + 1)
        )
        self.idle_threads = deque(self.threads)
        self.finished: deque[Connection] = deque()
        self.readable: deque[Connection] = deque()
        self.unseen: list[Connection] = []
        self._bodies = self.clients.body is not None
        self._reads_bodies = self.clients.reads_body
        self.in_hand: Connection | None = None
        self.in_turn = False
        self.turns = 0
        self.deadline = inf

    # The main thread.

    def run(self) -> None:
        """Enter the main loop."""
        self._next_turn()

    def take(self, connection: Connection) -> bool:
        """See `Poller`: all that would begin with `wake` and end in `_next_turn`."""
        clock, row = self.clock, connection.row
        thread = self.idle_threads[0] if self.idle_threads else None
        if (
            not self.undisturbed
            or self.copying
            or self.clients.slow
            or (thread is not None and not self._can_call(row))
        ):
            return False
        # The main thread's turn, and that of a thread that is free.
        came = clock.time
        accepted = over = came + self.costs.accept * self.start_pace.at(came)
        if thread is not None:
            over += self.costs.request * self.start_pace.at(accepted)
        if over - accepted > self.gil.short or not self.gil.free_until(over, self.gil.main_thread):
            return False
        self.turns += 1
        self.fresh = False
        connection.accepted = came
        self.notified = accepted
        clock.time = self.gil.end = over
        self._accepted(connection)
        if self.nr_conns >= self.worker_connections:
            self.listener.forget(self)
            self._register(accept=False)
        if thread is None:
            self._queue(connection)
        else:
            del self.idle_threads[0]
            thread.connection = connection
            self.start_pace.ran(accepted)
            self.waited += accepted - came
            self._call_in_passing(thread, row)
        return True

    def wake(self) -> None:
        """The listener has become readable, and this worker wins the race for it if it can.

        It accepts at once, unless another thread of its own has the GIL.
        """
        self._begin_turn()

    def on_readable(self, connection: Connection) -> None:
        """A kept connection has become readable."""
        if connection in self.keepalived_conns:
            if self.in_turn:
                self.unseen.append(connection)
                return
            del self.keepalived_conns[connection]
            self.readable.append(connection)
            self.look_up()
        elif connection in self.pending_conns:
            del self.pending_conns[connection]
            connection.deferred = False
            self.readable.append(connection)
            self.look_up()
        # Otherwise the main thread has yet to register it, and will find it readable then.

    def hang_up(self, connection: Connection) -> None:
        """See `Worker`: a thread would read the end, and the main thread close; that is quick."""
        if connection in self.keepalived_conns:
            del self.keepalived_conns[connection]
            connection.keep = False
            self.nr_conns -= 1
            if not COMPILED:
                self._check_end(connection)
            self.look_up()

    def asleep(self) -> bool:
        """See `Worker`."""
        return self.booted and not (self.in_turn or self.exiting or self.in_handler)

    def busy(self) -> bool:
        """See `Worker`."""
        return len(self.idle_threads) < len(self.threads)

    def look_up(self) -> None:
        """Begin a turn, if the main thread sleeps in epoll."""
        if self.asleep() and self.signals.stopped_at == inf:
            if self.accepting:
                self.listener.forget(self)
            self._begin_turn()

    def _next_turn(self) -> None:
        """The head of `run()`'s loop: register or unregister the listener, then poll."""
        if not (self.alive and self.parent_alive):
            self._next_last_turn()
            return
        self.notified = self.clock.time
        if self.unseen:
            self._see()
        can_accept = self.nr_conns < self.worker_connections
        if can_accept != self.accepting:
            self._register(accept=can_accept)
        if self.finished or self.readable or (can_accept and self.listener.queue):
            self._begin_turn()
            return
        self.in_turn = False
        if can_accept:
            self.listener.sleep(self)
        if self._keeps and (self.keepalived_conns or self.pending_conns):
            self._sleep_for(SELECT_TIMEOUT)

    def _register(self, *, accept: bool) -> None:
        """Register the listener, or unregister it."""
        self.accepting = accept
        self.registration = next(self.wiring.registrations)

    def _see(self) -> None:
        """Poll the connections that have become readable since the last poll."""
        for connection in self.unseen:
            if connection in self.keepalived_conns:
                del self.keepalived_conns[connection]
                self.readable.append(connection)
        self.unseen.clear()

    def _next_last_turn(self) -> None:
        """The same in the loop that serves what a stopping worker holds."""
        if self.exiting:
            return
        now = self.clock.time
        if self.heartbeat_at_stop:
            self.notified = now
        self._see()
        if self.deadline == inf:
            if not self.parent_alive:
                self.note("orphaned")
            self.silent = not self.heartbeat_at_stop
            self.accepting = False
            self.deadline = now + self.graceful_timeout
            if self.idle_at_stop == "linger":
                for connection in self.keepalived_conns:
                    connection.timeout = min(connection.timeout, now + STOP_KEEPALIVE_LINGER)
        waited_for = self.nr_conns
        if self.idle_at_stop == "drop when idle":
            waited_for -= len(self.keepalived_conns)
        if waited_for == 0 or now >= self.deadline:
            self._clean_up()
            return
        if self.finished or self.readable:
            self._begin_turn()
            return
        self.in_turn = False
        self._sleep_for(self._last_timeout(now))

    def _last_timeout(self, now: float) -> float:
        """S that the stopping worker sleeps at most."""
        if self.idle_at_stop == "hold":
            return self.deadline - now
        timeout = SELECT_TIMEOUT
        if self.idle_at_stop == "linger":
            for connection in self.keepalived_conns:
                timeout = min(timeout, max(connection.timeout - now, 0.0))
                break
        return timeout

    def _clean_up(self) -> None:
        """The end of `run()`."""
        # Without the force the end of the process closes them, a little later.
        self._murder_keepalived(force=self.heartbeat_at_stop)
        self.close_listener()
        self.in_turn = False
        self.exit(self.status or 0)

    def give_up(self) -> None:
        """See `Worker`: `run()` is left without its end, and pool threads hold the worker."""
        self.accepting = False
        self.interrupted = True
        self.exit(self.status or 0)

    def _sleep_for(self, seconds: float) -> None:
        """Sleep in `select()`; only what a turn does at its end depends on when that is over."""
        turns = self.turns

        def on_timeout(_: Call) -> None:
            if self.turns == turns:
                self.look_up()

        Call(self.clock, on_timeout).after(seconds)

    def _begin_turn(self) -> None:
        """`epoll_wait(2)` has returned: handle what is ready, at most one `accept()` of it."""
        self.in_turn = True
        self.woken_at = self.clock.time
        self.turns += 1
        if self.gil.busy():
            self.gil.compute(0.0, self._then_awake, None)
            return
        if self.accepting and self.listener.queue:
            self.in_hand = self._accept()
        self.gil.compute(*self._events())

    def _awake(self, _: None) -> None:
        """The main thread has waited for the GIL; another worker may have accepted meanwhile."""
        if self.accepting and self.listener.queue:
            self.in_hand = self._accept()
        self.gil.go_on(*self._events())

    def _accept(self) -> Connection:
        connection = self.listener.accept()
        assert connection is not None, "the queue is not empty"
        self.fresh = False
        return connection

    def _events(self) -> tuple[float, Then, tuple[int, int]]:
        """What the main thread computes for what is ready, and what it does then."""
        finished, readable = len(self.finished), len(self.readable)
        seconds = 0.0
        if finished or readable:
            pace = self.finished[0].pace if finished else self.start_pace.at(self.clock.time)
            seconds = self.costs.finish * pace * (finished + readable)
        if self.in_hand is not None:
            seconds += self.costs.accept * self.start_pace.at(self.clock.time)
        return seconds, self._then_end_turn, (finished, readable)

    def _end_turn(self, handled: tuple[int, int]) -> None:
        finished, readable = handled
        connection = self.in_hand
        if connection is not None:
            self.in_hand = None
            self._accepted(connection)
            self._enqueue_req(connection)
        if finished:
            # Where it accepts all the while, that it waits for a client to close holds up nobody.
            if self.lingers and (self.clients.lingering or not self.accepting):
                self._finish_slowly((finished, readable))
                return
            for _ in range(finished):
                self._finish_request(self.finished.popleft())
        self._finish_turn(readable)

    def _finish_slowly(self, handled: tuple[int, int]) -> None:
        """`util.close_graceful()` keeps the main thread until the client has closed too."""
        finished, readable = handled
        for left in range(finished - 1, -1, -1):
            connection = self.finished.popleft()
            self._finish_request(connection)
            seconds = min(CLOSE_TIMEOUT, connection.closes - self.clock.time)
            if seconds > ROUNDING and not connection.keep:
                self.clock.after(seconds, self._after_close, (left, readable))
                return
        self._finish_turn(readable)

    def _after_close(self, left: tuple[int, int]) -> None:
        if self.ended:
            return
        if self.gil.free_until(self.clock.time, self.gil.main_thread):
            self._finish_slowly(left)
        else:
            self.gil.compute(0.0, self._finish_slowly, left)

    def _finish_turn(self, readable: int) -> None:
        if readable:
            # To the scheduler that is as good as finishing a request: it has had time since.
            self.finished_at = self.clock.time
            self.alone = True
        for _ in range(readable):
            self._on_client_socket_readable(self.readable.popleft())
        if self._keeps:
            self._murder_keepalived(force=False)
            self._murder_pending()
        self._next_turn()

    def _check_accept(self, connection: Connection) -> None:
        assert connection not in self._held, "a connection is accepted once"
        self._held.add(connection)
        # It accepts while it has fewer than `worker_connections`, one in each turn.
        assert len(self._held) == self.nr_conns <= self.worker_connections, "nr_conns is too high"

    def _check_end(self, connection: Connection) -> None:
        assert connection in self._held, "a connection ends once"
        self._held.remove(connection)
        assert len(self._held) == self.nr_conns, "nr_conns counts the connections"

    def _accepted(self, connection: Connection) -> None:
        self.nr_conns += 1
        if not COMPILED:
            self._check_accept(connection)
        connection.worker = self
        if connection.abandoned:
            return
        row = connection.row
        rows = self.rows
        rows.accepted[row] = connection.accepted - self.recorder.start
        rows.worker[row] = self.boot_order

    def _finish_request(self, connection: Connection) -> None:
        self.finished_at = self.clock.time
        self.alone = bool(self.idle_threads)
        if connection.deferred and self.alive:
            self._defer(connection)
            return
        if connection.deferred:
            # The parser that the source looks into does not exist yet: an exception, and a close.
            self.nr_conns -= 1
            if not COMPILED:
                self._check_end(connection)
            self.clients.closed(connection)
            return
        if not connection.keep:
            self.nr_conns -= 1
            if not COMPILED:
                self._check_end(connection)
            return
        if not (self.alive or self.idle_at_stop == "linger"):
            # The response has said that the connection is kept.
            self.nr_conns -= 1
            if not COMPILED:
                self._check_end(connection)
            self.clients.closed(connection)
            return
        connection.timeout = self.clock.time + self.keepalive
        if not self.alive:
            linger = self.clock.time + STOP_KEEPALIVE_LINGER
            connection.timeout = min(connection.timeout, linger)
        if connection.row >= 0 and connection.ready <= self.clock.time:
            # The client's next request was quicker than this thread.
            self.readable.append(connection)
        else:
            self.keepalived_conns[connection] = None

    def _defer(self, connection: Connection) -> None:
        """Back to the poller, for `keepalive` s."""
        connection.timeout = self.clock.time + self.wiring.experiment.server.keepalive
        if connection.ready <= self.clock.time:
            connection.deferred = False
            self.readable.append(connection)
            return
        self.pending_conns[connection] = None
        self._keeps = True
        ready = Call(self.clock, lambda _: self.on_readable(connection))
        ready.after(connection.ready - self.clock.time)

    def _murder_pending(self) -> None:
        now = self.clock.time
        while self.pending_conns:
            connection = next(iter(self.pending_conns))
            if connection.timeout > now:
                break
            del self.pending_conns[connection]
            self.nr_conns -= 1
            if not COMPILED:
                self._check_end(connection)
            self.clients.closed(connection)

    def _on_client_socket_readable(self, connection: Connection) -> None:
        connection.accepted = self.clock.time
        if not connection.abandoned:
            rows = self.recorder.requests
            rows.accepted[connection.row] = self.clock.time - self.recorder.start
            rows.worker[connection.row] = self.boot_order
        self._enqueue_req(connection)

    def _murder_keepalived(self, *, force: bool) -> None:
        now = self.clock.time
        while self.keepalived_conns:
            connection = next(iter(self.keepalived_conns))
            if connection.timeout > now and not force:
                break
            del self.keepalived_conns[connection]
            self.nr_conns -= 1
            if not COMPILED:
                self._check_end(connection)
            self.clients.closed(connection)

    # The pool.

    def _enqueue_req(self, connection: Connection) -> None:
        if self.idle_threads:
            self._handle(self.idle_threads.popleft(), connection)
        else:
            self._queue(connection)

    def _queue(self, connection: Connection) -> None:
        self.requests.append(connection)
        if len(self.requests) > self.longest:  # noqa: PLR1730 - the call would cost more
            self.longest = len(self.requests)

    def _handle(self, thread: PoolThread, connection: Connection, part: float = 1.0) -> None:
        """`handle()`: a thread takes a connection, reads the request and calls the application."""
        thread.connection = connection
        self.waited += self.clock.time - connection.accepted
        if self.clients.slow and connection.ready > self.clock.time:
            self.pool_size = max(self.pool_size, thread.number)
            late = connection.ready - self.clock.time
            self.clock.after(min(self.data_timeout, late), self._after_wait, thread)
            return
        self._begin_request(thread, connection, part)

    def _after_wait(self, thread: PoolThread) -> None:
        """`wait_for_data()` is over: the request has come, or its time."""
        connection = thread.connection
        if connection is None:
            return  # The process has ended.
        if connection.ready <= self.clock.time + ROUNDING:
            self._begin_request(thread, connection)
            return
        connection.deferred = True
        self.finished.append(connection)
        self._take_next(thread)
        if self.exiting:
            self.end_if_idle()
        else:
            self.look_up()

    def _begin_request(self, thread: PoolThread, connection: Connection, part: float = 1.0) -> None:
        connection.pace = part * self.start_pace.step(self.clock.time)
        if not self.gil.waiting:
            seconds = self.request_cost(connection.pace)
            self.gil.compute(seconds, self._then_call_application, thread, thread)
            return
        calls = CALLS_KEPT if connection.keep else CALLS_NEW
        taken = self._here(TAKEN[min(len(self.gil.waiting), len(TAKEN)) - 1])
        thread.takes = sum(self._races.random() < taken for _ in range(calls))
        if thread.takes:
            self.gil.let_go(0.0, self._read, thread, thread)
        else:
            seconds = self.request_cost(connection.pace)
            self.gil.compute_next(seconds, self._then_call_application, thread, thread)

    def _here(self, taken: float) -> float:
        """The probability that the GIL is taken, which is ``taken`` where a core idles."""
        return taken * CROWDED if self.cores.crowded() else taken

    def _read(self, thread: PoolThread) -> None:
        """A thread has the GIL once more on its way to the application."""
        connection = thread.connection
        assert connection is not None, "a thread that reads has a connection"
        thread.takes -= 1
        if thread.takes and self.gil.waiting:
            self.gil.let_go(0.0, self._read, thread, thread)
        else:
            seconds = self.request_cost(connection.pace)
            self.gil.go_on(seconds, self._then_call_application, thread)

    def _call_application(self, thread: PoolThread) -> None:
        connection = thread.connection
        assert connection is not None, "a thread that runs has a connection"
        rows, row = self.rows, connection.row
        now = self.clock.time
        if not connection.abandoned:
            rows.started[row] = now - self.recorder.start
            rows.thread[row] = thread.number
        if thread.number > self.pool_size:  # noqa: PLR1730 - the call would cost more
            self.pool_size = thread.number
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            # The main thread sees that when it next comes round.
            self.note("max_requests")
            self.alive = False
            self.undisturbed = False
        if self.keepalive:
            connection.keep = self.alive and len(self.keepalived_conns) < self.max_keepalived
        io = rows.io[row]
        if self._reads_bodies and connection.uploaded > now:
            io += connection.uploaded - now
        if self.traps is not None:
            if self.traps.spring_crash():
                return
            if seconds := self.traps.spring_hang():
                thread.hangs = True
                io += seconds
        if io > 0:
            self.clock.after(io + self.costs.timer_slack, self._then_after_io, thread)
        else:
            connection.pace = self.end_pace.step(now)
            self.gil.go_on(rows.cpu[row], self._then_send, thread)

    def _can_call(self, row: int) -> bool:
        """Whether an undisturbed worker can `_call_in_passing` for a request."""
        return self.rows.io[row] > 0 and self.nr + 1 < self.max_requests

    def _call_in_passing(self, thread: PoolThread, row: int) -> None:
        """`_call_application`, where nothing can come of it but I/O."""
        rows = self.rows
        now = self.clock.time
        rows.started[row] = now - self.recorder.start
        rows.thread[row] = number = thread.number
        if number > self.pool_size:  # noqa: PLR1730 - the call would cost more
            self.pool_size = number
        self.nr += 1
        self.clock.after(rows.io[row] + self.costs.timer_slack, self._then_after_io, thread)

    def _after_io(self, thread: PoolThread) -> None:
        connection = thread.connection
        if connection is None:
            return  # The process has ended.
        if thread.hangs:
            thread.hangs = False
            self.note("hang over")
        costs = self.costs
        connection.pace = pace = self.end_pace.step(self.clock.time)
        cpu = self.rows.cpu[connection.row]
        seconds = cpu + costs.respond * pace
        gil = self.gil
        if cpu > SOON or gil.busy():
            gil.compute_again(cpu, self._then_send, thread, thread)
            return
        # `_send` counts it where it ends; here that is within `SOON`, and has no step of its own.
        self.end_pace.computing.computed(cpu)
        if not (self.accepting and self._answers_in_passing and self.alive) or self.in_turn:
            gil.compute_again(seconds, self._then_respond, thread, thread)
        elif not self.requests:
            # The main thread gets the GIL as soon as this thread drops it, and has nothing else
            # to do: one turn on the core. The client had its answer when the thread's part ended.
            seconds += costs.finish * pace
            over = self.clock.time + seconds
            if gil.free_until(over, thread):
                self.clock.time = gil.end = over
                self._respond_and_finish(thread)
            else:
                gil.compute_again(seconds, self._then_respond_and_finish, thread, thread)
        elif not self._relay(thread, seconds):
            gil.compute_again(seconds, self._then_respond, thread, thread)

    def _send(self, thread: PoolThread) -> None:
        """The application has returned; the response's first `send(2)` is without the GIL."""
        connection = thread.connection
        assert connection is not None, "a thread that responds has a connection"
        self.end_pace.computing.computed(self.rows.cpu[connection.row])
        seconds = self.costs.respond * connection.pace
        waiting = len(self.gil.waiting)
        taken = SEND_TAKEN_BY_ONE if waiting == 1 else SEND_TAKEN_BY_SEVERAL
        if waiting and self._races.random() < self._here(taken):
            self.gil.let_go(seconds, self._then_respond, thread, thread)
        else:
            self.gil.go_on(seconds, self._then_respond, thread)

    def _respond(self, thread: PoolThread) -> None:
        """The response is sent: tell the main thread, and take the next request."""
        connection = thread.connection
        assert connection is not None, "a thread that responds has a connection"
        self.clients.answer(connection)
        if connection.keep and self._bodies and connection.uploaded > self.clock.time:
            late = connection.uploaded - self.clock.time
            self.clock.after(min(self.drain_timeout, late), self._after_drain, thread)
        else:
            self._done(thread)

    def _after_drain(self, thread: PoolThread) -> None:
        """`finish_body()` is over: the body that nobody has read has come, or its time."""
        connection = thread.connection
        if connection is None:
            return  # The process has ended.
        if connection.uploaded > self.clock.time + ROUNDING:
            connection.keep = False
        self._done(thread)

    def _done(self, thread: PoolThread) -> None:
        assert thread.connection is not None, "a thread that is done has a connection"
        self.finished.append(thread.connection)
        self._take_next(thread)
        if self.exiting:
            self.end_if_idle()
        elif not self.in_turn:
            self.look_up()

    def _respond_and_finish(self, thread: PoolThread) -> None:
        """`_respond`, and then `finish_request()` on the main thread, of a new connection."""
        connection = thread.connection
        assert connection is not None, "a thread that responds has a connection"
        self.clients.answer_in_passing(connection, self.costs.finish * connection.pace)
        self.nr_conns -= 1
        if not COMPILED:
            self._check_end(connection)
        self.finished_at = self.clock.time
        self.alone = True
        self._take_next(thread)
        if self.exiting:
            self.end_if_idle()
        elif not (self.in_turn or (self.accepting and self.alive)):
            self.listener.forget(self)
            self._next_turn()

    def _relay(self, thread: PoolThread, seconds: float) -> bool:
        """`_respond`, begin the next request, and `finish_request()` on the main thread.

        These are three turns of the GIL, the first of ``seconds`` s, and go like this if nothing
        else happens before they are over. Whether that is so, and was done.
        """
        connection, following = thread.connection, self.requests[0]
        assert connection is not None, "a thread that responds has a connection"
        costs, clock, gil = self.costs, self.clock, self.gil
        finish = costs.finish * connection.pace
        if (
            not (self.undisturbed and self.accepting)
            or self.clients.slow
            or self.listener.queue
            # One core is for the client, if it is on the same host: it reads meanwhile.
            or (self.cores.free < 2 and self.clients.cores is not None)
            or not self._can_call(following.row)
            or self.rows.io[following.row] <= finish
        ):
            return False
        answered = clock.time + seconds
        request = costs.request * self.start_pace.at(answered)
        over = answered + request + finish
        if request > gil.short or not gil.free_until(over, thread):
            return False
        clock.time = answered
        self.clients.answer_in_passing(connection, 0.0)
        self.start_pace.ran(answered)
        self.requests.popleft()
        thread.connection = following
        self.waited += answered - following.accepted
        # The main thread has slept before, and sleeps again.
        self.turns += 1
        self.nr_conns -= 1
        if not COMPILED:
            self._check_end(connection)
        if gil.first_wins():
            clock.time = answered + request
            self._call_in_passing(thread, following.row)
            clock.time = gil.end = self.notified = over
        else:
            self.notified = answered + finish
            clock.time = gil.end = self.notified + request
            self._call_in_passing(thread, following.row)
        self.finished_at = self.notified
        self.alone = False
        return True

    def _take_next(self, thread: PoolThread) -> None:
        if self.requests:
            connection = self.requests.popleft()
            self._handle(thread, connection, AT_ONCE if connection.keep else 1.0)
        else:
            thread.connection = None
            # On the left: Python starts another thread only when none is idle.
            self.idle_threads.appendleft(thread)

    # The end.

    def abandon(self) -> Iterator[Connection]:
        """See `Worker`."""
        for thread in self.threads:
            if thread.connection is not None:
                yield thread.connection
                thread.connection = None
        if self.in_hand is not None:
            yield self.in_hand
        yield from self.requests
        yield from self.readable
        # Answered, but perhaps kept: with the next request already on it.
        yield from self.finished
        yield from self.keepalived_conns
        yield from self.pending_conns
