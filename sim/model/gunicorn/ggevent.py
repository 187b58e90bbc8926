"""`GeventWorker` (gunicorn/workers/ggevent.py) on `AsyncWorker` (base_async.py).

::

                  +---------------- worker: one thread, its hub ---------------+
    accept queue --> accept (1 at a time, or 100) --> a greenlet each ----------|
                  |    ^ while fewer than worker_connections                    |
                  |    |                 reads, computes, waits; others run     |
                  |    +---- connection ends <----- meanwhile: `sleep`, `recv`  |
                  |  run(): notify, sleep 1 s, notify, ...                      |
                  +------------------------------------------------------------+

======== ======================= ==================== =====================================
step     costs                   is over in           is followed by
======== ======================= ==================== =====================================
accept   accept                  _accepted            parse, in a greenlet
parse    request, first_request  handle_request       I/O
I/O      io, timer_slack         _after_io            compute, send
send     cpu, respond            _respond             finish
finish   finish                  _finish              the next request of the connection
======== ======================= ==================== =====================================

A greenlet has a connection until it ends. It gives the thread up only where it waits, so a request
that computes holds up all others of its worker, and the accepts. So does one that blocks in code
that gevent has not patched.

`run()` is a greenlet too: it heartbeats and looks for `alive` once a second, and not while another
computes or blocks. So the master takes a worker for dead whose request computes for `timeout` s.
SIGABRT then raises `SystemExit` in that request alone: its client gets no response, the others go
on, and `run()` finds that it is to stop.

It stops when it next looks: it closes the listener, and waits, looking once a second, until no
connection is left or `graceful_timeout` is over. Kept connections stay open up to `keepalive`.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Final

from sim.model.connection import Connection
from sim.model.cpython.event_loop import EventLoop
from sim.model.cpython.gil import ROUNDING
from sim.model.gunicorn.worker import QUIT_SLEEP, Parent, Worker
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.wiring import Wiring

#: s of `gevent.sleep(1.0)` in `run()`: heartbeat, and look for `alive`.
SLEEP: Final = 1.0

#: Connections that a hub accepts at once (``BaseServer.max_accept``, gevent/baseserver.py); `run()`
#: makes it 1 where there are several workers.
MAX_ACCEPT: Final = 100

#: s that `server.stop(timeout=1)` waits for greenlets before it kills them.
STOP_TIMEOUT: Final = 1.0


class GeventWorker(Worker):
    """One gevent worker; see `Worker` for what every class has.

    Constants: ``worker_connections`` (greenlets of its pool), ``keepalive`` (s; 0 closes after each
    response), ``graceful_timeout``, ``max_accept``, ``loop``.

    State:
        conns: connections that it has accepted and not closed: each has a greenlet of the pool.
        waiting: of these, those whose greenlet waits for a request.
        accepting: whether the listener is registered with its hub.
        in_hand: a connection that it has accepted just now.
        current: the connection whose request the thread computes or blocks for.
        stopping_since: when it has closed its listener, s; infinity before.
        killing: whether `server.stop()` waits for the greenlets, which it will kill.
        ticks: times that `run()` is to wake up and look; older ones are not for it any more.
    """

    __slots__ = (
        "_then_after_io",
        "_then_begin",
        "_then_close",
        "_then_handle_request",
        "_then_respond",
        "accepting",
        "conns",
        "current",
        "graceful_timeout",
        "in_hand",
        "keepalive",
        "killing",
        "loop",
        "max_accept",
        "stopping_since",
        "ticks",
        "waiting",
        "worker_connections",
    )

    def __init__(self, wiring: Wiring, parent: Parent, listener: ListeningSocket) -> None:
        super().__init__(wiring, parent, listener, SLEEP)
        server = wiring.experiment.server
        self.worker_connections = server.worker_connections
        self.keepalive = float(server.keepalive)
        self.graceful_timeout = float(server.graceful_timeout)
        self.max_accept = 1 if server.workers > 1 else MAX_ACCEPT
        self._then_begin = self._begin_request
        self._then_handle_request = self.handle_request
        self._then_after_io = self._after_io
        self._then_respond = self._respond
        self._then_close = self._finish
        self.loop = EventLoop(wiring.clock, self.gil, self._poll, self._sleep, self._woken)
        self.conns: dict[Connection, None] = {}
        self.waiting: dict[Connection, None] = {}
        self.accepting = False
        self.in_hand: Connection | None = None
        self.current: Connection | None = None
        self.stopping_since = inf
        self.killing = False
        self.ticks = 0

    # The hub.

    def run(self) -> None:
        """Start the server, and enter `run()`'s loop."""
        self.notified = self.clock.time
        if not self.alive:
            # The loop of `run()` never begins, and the hub has not run yet.
            self._stop_accepting()
            self._leave()
        elif not self.parent_alive:
            self._orphaned()
        else:
            self._start_accepting()
            self.loop.wake()

    def wake(self) -> None:
        """The listener has become readable, and this worker wins the race for it if it can."""
        if not self.gil.busy():
            self.in_hand = self._accept()
        self.loop.wake()

    def look_up(self) -> None:
        """See `Worker`."""
        if self.asleep() and self.signals.stopped_at == inf:
            self.loop.wake()

    def asleep(self) -> bool:
        """See `Worker`."""
        return self.booted and self.loop.asleep and not self.exiting

    def busy(self) -> bool:
        """See `Worker`: there is no pool of threads."""
        return False

    def _woken(self) -> None:
        """The thread has slept in its poll: its heartbeats meanwhile were on time."""
        self.notified = self.last_update()
        if self.accepting:
            self.listener.forget(self)

    def _poll(self) -> None:
        """`ev_run` of libev: timers first, then the listener."""
        now = self.woken_at = self.clock.time
        if now >= self.notified + SLEEP:
            self.notified = now
        loop = self.loop
        loop.callbacks.extend(loop.events)
        loop.events.clear()
        if self.in_hand is not None or (self.accepting and self.listener.queue):
            loop.callbacks.append((self._do_read, 0))

    def _sleep(self) -> None:
        if self.accepting and self.signals.stopped_at == inf:
            self.listener.sleep(self)

    def _start_accepting(self) -> None:
        self.accepting = True
        self.registration = next(self.wiring.registrations)

    def _do_read(self, accepted: int) -> None:
        """`BaseServer._do_read`: accept ``max_accept`` connections, while the pool has room."""
        if self.in_hand is None:
            if accepted >= self.max_accept or not (self.accepting and self.listener.queue):
                return
            self.in_hand = self._accept()
        pace = self.start_pace.at(self.clock.time)
        self.loop.compute(self.costs.accept * pace, self._accepted, accepted + 1)

    def _accept(self) -> Connection:
        connection = self.listener.accept()
        assert connection is not None, "the queue is not empty"
        self.fresh = False
        return connection

    def _accepted(self, accepted: int) -> None:
        """`do_handle`: a greenlet of the pool has the connection, and runs before the next poll."""
        connection, self.in_hand = self.in_hand, None
        assert connection is not None, "it has accepted one"
        self.conns[connection] = None
        connection.worker = self
        self.note_accepted(connection, thread=1)
        if len(self.conns) >= self.worker_connections:
            self.accepting = False
        self.loop.callbacks.append((self._handle, connection))
        self._do_read(accepted)

    # A greenlet.

    def _handle(self, connection: Connection) -> None:
        """`handle()`: read a request, if it has come, or wait for it, `keepalive` s at most."""
        if connection.row >= 0 and connection.ready <= self.clock.time + ROUNDING:
            self._begin_request(connection)
            return
        self.waiting[connection] = None
        if self.keepalive:
            connection.timeout = self.clock.time + self.keepalive
            self.clock.after(self.keepalive, self._time_out, (connection, connection.timeout))
        if connection.row >= 0 and not connection.keep:
            # A client that is slow on a new connection tells nobody when it sends.
            self.clock.after(connection.ready - self.clock.time, self._sent, connection)

    def _sent(self, connection: Connection) -> None:
        self.on_readable(connection)

    def on_readable(self, connection: Connection) -> None:
        """A client has sent a request, on a connection whose greenlet may wait for it."""
        if connection in self.waiting:
            del self.waiting[connection]
            self.loop.ready(self._then_begin, connection)
        # Otherwise the greenlet has yet to look, and will find it readable then.

    def _time_out(self, of: tuple[Connection, float]) -> None:
        """`timeout_ctx()`: no request has come for `keepalive` s."""
        connection, timeout = of
        if self.waiting.get(connection, connection) is None and connection.timeout == timeout:
            del self.waiting[connection]
            self.loop.ready(self._expire, connection)

    def _expire(self, connection: Connection) -> None:
        if connection in self.conns:
            self._end(connection)
            self.clients.closed(connection)

    def hang_up(self, connection: Connection) -> None:
        """See `Worker`: the greenlet reads the end, and closes."""
        if connection in self.waiting:
            del self.waiting[connection]
            connection.keep = False
            self.loop.ready(self._hung_up, connection)

    def _hung_up(self, connection: Connection) -> None:
        if connection in self.conns:
            self._end(connection)

    def _begin_request(self, connection: Connection) -> None:
        if connection not in self.conns:
            return
        if connection.keep:
            connection.accepted = self.clock.time
            self.note_accepted(connection, thread=1)
        self.waited += self.clock.time - connection.accepted
        self.current = connection
        seconds = self.request_cost(self.start_pace.step(self.clock.time))
        self.loop.compute(seconds, self._then_handle_request, connection)

    def handle_request(self, connection: Connection) -> None:
        """The request is parsed: call the application, which begins with its I/O."""
        io = self.call_application(connection)
        connection.keep = self.alive and self.keepalive > 0 and self.clients.keep
        if io > 0:
            self.current = None
            self._wait(io, connection)
        elif io == 0:
            self._compute_response(connection)

    def reach_max_requests(self) -> None:
        """See `Worker`; `run()` sees that when it next looks."""
        if self.alive:
            super().reach_max_requests()
            self._look_later()

    def _wait(self, io: float, connection: Connection) -> None:
        """The application sleeps: its greenlet waits for a timer of the hub."""
        self.clock.after(io + self.costs.timer_slack, self._io_over, connection)

    def _io_over(self, connection: Connection) -> None:
        if connection not in self.conns:
            return
        self.loop.ready(self._then_after_io, connection)

    def _after_io(self, connection: Connection) -> None:
        if connection not in self.conns:
            return
        self._compute_response(connection)

    def _compute_response(self, connection: Connection) -> None:
        self.current = connection
        self.end_io(connection)
        seconds = self.rows.cpu[connection.row] + self.costs.respond * connection.pace
        self.loop.compute(seconds, self._then_respond, connection)

    def _respond(self, connection: Connection) -> None:
        self.end_pace.computing.computed(self.rows.cpu[connection.row])
        self.clients.answer(connection)
        self.loop.compute(self.costs.finish * connection.pace, self._then_close, connection)

    def _finish(self, connection: Connection) -> None:
        """The response is sent: close the connection, or wait for the next request on it."""
        self.current = None
        self.finished_at = self.clock.time
        self.alone = True
        if connection.keep:
            self._handle(connection)
        else:
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        """The greenlet ends, and leaves its place in the pool."""
        assert connection in self.conns, "a connection ends once"
        assert len(self.conns) <= self.worker_connections, "the pool has no more greenlets"
        del self.conns[connection]
        self.waiting.pop(connection, None)
        if not self.accepting and self.stopping_since == inf:
            self._start_accepting()
        if self.killing and not self.conns:
            self._leave()

    # `run()`.

    def _look_later(self) -> None:
        """Let `run()` look for `alive` when it next wakes up."""
        self.ticks += 1
        due = self.last_update() + SLEEP - self.clock.time
        if due > 0.0:
            self.clock.after(due, self._tick, self.ticks)
        else:
            # It should have looked already: the timer comes before all that the next poll finds.
            self._tick(self.ticks)

    def _tick(self, tick: int) -> None:
        if tick == self.ticks and not (self.exiting or self.ended):
            self.loop.ready(self._look, tick)

    def _look(self, tick: int) -> None:
        """`run()` has slept a second."""
        if tick != self.ticks or self.exiting:
            return
        now = self.clock.time
        if self.stopping_since == inf:
            if not self.alive:
                self._stop_accepting()
            elif not self.parent_alive:
                self._orphaned()
                return
        if self.stopping_since == inf:
            return
        if self.killing or not self.conns:
            self._leave()
            return
        self.ticks += 1
        if now - self.stopping_since > self.graceful_timeout - ROUNDING:
            self.killing = True
            self.clock.after(STOP_TIMEOUT, self._tick, self.ticks)
        else:
            self.notified = now
            self.clock.after(SLEEP, self._tick, self.ticks)

    def _orphaned(self) -> None:
        """`notify()` finds that the master is gone, and calls `sys.exit(0)`."""
        self.note("orphaned")
        self._throw_out(0)

    def _stop_accepting(self) -> None:
        """`server.close()`."""
        self.stopping_since = self.clock.time
        self.accepting = False
        self.listener.forget(self)
        self.close_listener()

    def _leave(self) -> None:
        """The end of `run()`: greenlets that are left have been killed, and close."""
        left = list(self.conns)
        self.conns.clear()
        self.waiting.clear()
        for connection in left:
            self.clients.closed(connection)
        self.current = None
        self.loop.stop()
        self.exit(self.status or 0)

    def _throw_out(self, status: int) -> None:
        """`SystemExit` in the main greenlet: what it holds stays open until the process ends."""
        self.alive = False
        self.accepting = False
        self.interrupted = True
        self.loop.stop()
        self.exit(status)

    # Signals.

    def lose_parent(self) -> None:
        """The master has died; `notify()` sees that when `run()` next calls it."""
        self.parent_alive = False
        if self.booted and not self.exiting:
            self._look_later()

    def handle_exit(self) -> None:
        """SIGTERM: `run()` finds `alive` changed when it next looks, up to a second later."""
        if self.alive and not self.exiting:
            self.alive = False
            if self.booted:
                self._look_later()

    def handle_quit(self) -> None:
        """SIGQUIT and SIGINT: a greenlet sleeps, and then calls `sys.exit(0)`."""
        if self.exiting:
            return
        if not self.booted:
            super().handle_quit()
            return
        self.alive = False
        self.clock.after(QUIT_SLEEP, self._quit, None)

    def _quit(self, _: None) -> None:
        if self.exiting or self.ended:
            return
        self.loop.ready(self._exit, 0)

    def _exit(self, status: int) -> None:
        if not self.exiting:
            self._throw_out(status)

    def handle_abort(self) -> None:
        """SIGABRT: `sys.exit(1)`, in whatever the thread runs."""
        connection = self.current
        if self.exiting or not self.booted:
            super().handle_abort()
            return
        self.alive = False
        if connection is None:
            # In the hub, which throws it into the main greenlet.
            self.listener.forget(self)
            self.gil.throw_out()
            self._throw_out(1)
            return
        # `handle_request()` lets it pass, without a response, and `handle()` goes on.
        self.current = None
        connection.hangs = False
        keeps = connection.keep
        self.loop.throw_out()
        if keeps:
            self.loop.callbacks.append((self._handle_nothing, connection))
        else:
            self.loop.callbacks.append((self._expire, connection))
        self._look_later()

    def _handle_nothing(self, connection: Connection) -> None:
        """Wait for another request, which does not come: the client waits for its response."""
        if connection in self.conns:
            self.waiting[connection] = None
            connection.timeout = self.clock.time + self.keepalive
            self.clock.after(self.keepalive, self._time_out, (connection, connection.timeout))

    def give_up(self) -> None:
        """See `Worker`: the signals' handlers of this class do not call it once it has booted."""
        self._throw_out(self.status or 0)

    def abandon(self) -> Iterator[Connection]:
        """See `Worker`."""
        self.loop.stop()
        if self.in_hand is not None:
            yield self.in_hand
        yield from list(self.conns)
        self.conns.clear()
        self.waiting.clear()
