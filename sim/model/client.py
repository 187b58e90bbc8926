"""The clients: they connect or reuse, send, wait and record, as the rig's load generator does.

The load generator is one process. Where it runs on the server's host, what it does with a request
takes one of the cores; elsewhere it only takes time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from sim.experiment import Traffic
from sim.experiment.costs import Costs
from sim.model.caches.pace import Pace
from sim.model.connection import Connection
from sim.model.cpython.gil import Gil, Then
from sim.model.engine.clock import Call, Clock
from sim.model.engine.infinity import inf
from sim.model.linux.handshake import Handshakes
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.linux.scheduler import Cores
from sim.model.linux.timer_wheel import TimerWheel
from sim.model.recorder import Recorder
from sim.model.step_costs import StepCosts
from sim.run import ERROR_5XX, OK, REFUSED, RESET, TIMEOUT, UNFINISHED
from sim.run.arrivals import NONE, Source

#: The owner of a kubelet's connections; no client has this number.
KUBELET: Final = -1


class ProbeEnds(Protocol):
    """The prober, as the server's side of a connection knows it."""

    def answered(self, connection: Connection, outcome: int) -> None:
        """The worker has sent the whole response just now, which means this outcome."""

    def over(self, row: int, outcome: int) -> None:
        """There will be no response."""


class ClientParts(NamedTuple):
    """What clients are made of; see `Clients` for what they do with it.

    Attributes:
        clock, costs, source, recorder, traffic, pace, answer_pace, choose_listener, first_byte,
            body, read, cores, unix: constants of `Clients` under these names.
        wheel: whose ticks begin retransmissions.
    """

    clock: Clock
    costs: Costs
    source: Source
    recorder: Recorder
    traffic: Traffic
    pace: Pace
    answer_pace: Pace
    choose_listener: Callable[[], ListeningSocket | None]
    first_byte: Callable[[int], float] | None
    body: Callable[[int], float] | None
    read: Callable[[int], float] | None
    wheel: TimerWheel
    cores: Cores | None
    unix: bool
    rtt: float = 0.0


class Clients:
    """All clients: they send the requests.

    Constants:
        clock, costs, source, recorder, traffic: of the run.
        cores: that clients use; None where they are not on the host.
        pace: of what begins a request.
        answer_pace: of reading an answer.
        keep: whether clients ask for keep-alive.
        choose_listener: the kernel's choice of a socket for a new connection; None where nothing
            listens.
        first_byte: s that the client of a row takes until it sends, once it is connected; None
            where all send at once.
        body, read: the same for its request's body, and for reading the answer.
        reads_body: whether requests have a body that the application reads.
        repeats: whether a request may be sent to Gunicorn more than once.
        lingering: whether it may take time until clients close, or until their FIN arrives.
        unix: whether clients connect to a Unix socket.
        handshakes: that a full accept queue has delayed; TCP only.
        probes: the prober, which hears what becomes of connections of `KUBELET`; None without a
            kubelet.
        rtt: s to the server and back. The ACK of a handshake, and the request behind it, reach the
            server 1.5 of them after the SYN was sent; each other way takes half of one.

    Constant too: ``answers_matter``, whether anything that a client does depends on an answer. It
    does not in an open loop with new connections of clients that are near: answers need no events
    of their own there, and `_arrive` sends the requests.

    Output: ``finished`` succeeds when every request has its outcome, or the drain is over.

    State:
        waiting: requests without an outcome.
        idle: connections by client, the last used last.
        slow: whether any connection may come before its request.
        last_arrival: of a request, s.
        _tried: attempts that failed, by row.
        _draining_since: the last arrival when the drain began; None while it does not run.
    """

    def __init__(self, parts: ClientParts) -> None:
        clock, costs, source, traffic = parts.clock, parts.costs, parts.source, parts.traffic
        cores, first_byte, body = parts.cores, parts.first_byte, parts.body
        self.clock = clock
        self.unix = parts.unix
        self.cores = cores
        self._gil = None if cores is None else Gil(clock, cores, None)
        self.costs = StepCosts(costs)
        self.rtt = parts.rtt
        self._way = parts.rtt / 2
        self.source = source
        self.recorder = parts.recorder
        self.rows = parts.recorder.requests
        self.pace = parts.pace
        self.answer_pace = parts.answer_pace
        self.choose_listener = parts.choose_listener
        self.first_byte = first_byte
        self.body = body
        self.read = parts.read
        self.reads_body = body is not None and traffic.reads_body
        self.repeats = traffic.retries > 0
        self.lingering = body is not None or parts.read is not None or parts.rtt > 0
        self.handshakes = Handshakes(
            clock,
            costs,
            parts.wheel,
            first_byte,
            body,
            self._lose,
            self._on_late_request,
        )
        self.slow = first_byte is not None
        self.traffic = traffic
        self.keep = keep = traffic.connection == "keepalive"
        self.finished = clock.event()
        self.waiting = 0
        self.idle: defaultdict[int, list[Connection]] = defaultdict(list)
        self.last_arrival = 0.0
        self.answers_matter = (
            keep or source.closed_loop or traffic.timeout is not None or self.lingering
        )
        self._tried: defaultdict[int, int] = defaultdict(int)
        self._connect_costs = costs.connect
        self._then_connect = self._send_syn if parts.rtt else self._connect
        self._then_received = self._received
        self._then_arrive = self._arrive
        self._at_once = not self.answers_matter
        self._arrival = object()
        self._drain = Call(clock, self._on_drain)
        self._draining_since: float | None = None
        self._next_due = inf
        self.probes: ProbeEnds | None = None

    def share_with(self, probes: ProbeEnds) -> None:
        """Let a kubelet connect to the same server; before any worker is forked."""
        self.probes = probes
        # It does something with each response.
        self.answers_matter = True
        self._at_once = False

    def begin(self) -> None:
        """Send the first request when it is due."""
        if self._at_once:
            self._schedule_open_loop()
        else:
            self._schedule_arrival()
            self._begin_drain()

    def _schedule_open_loop(self) -> None:
        """Schedule the next request of an open loop that no answer matters to, if there is one."""
        row = self.source.following()
        if row == NONE:
            self._next_due = inf
            self._begin_drain()
            return
        self._next_due = due = self.rows.arrival[row]
        delay = self.recorder.start + due - self.clock.time
        self.clock.after(delay if delay > 0 else 0.0, self._then_arrive, row)

    def _arrive(self, row: int) -> None:
        """Send a request on a connection of its own, whatever became of those before."""
        self.waiting += 1
        self.last_arrival = due = self._next_due
        connection = Connection(row, 0)
        connection.pace = pace = self.pace.step(due)
        self._compute(self._connect_costs * pace, self._then_connect, connection)
        self._schedule_open_loop()

    def _compute(self, seconds: float, then: Then, argument: object) -> None:
        """Let the load generator compute; on another host nobody but it needs the core."""
        if self._gil is None:
            self.clock.after(seconds, then, argument)
        else:
            self._gil.compute(seconds, then, argument)

    def _schedule_arrival(self) -> None:
        self._next_due = due = self.source.due()
        if due < inf:
            when = self.recorder.start + due
            self.clock.after(max(0.0, when - self.clock.time), self._on_arrival, self._arrival)

    def _on_arrival(self, arrival: object) -> None:
        if arrival is not self._arrival:
            return
        self.last_arrival = due = self._next_due
        pace = self.pace.step(due)
        row, client = self.source.take()
        self.waiting += 1
        self._send(row, client, pace)
        self._schedule_arrival()
        self._begin_drain()

    def _send(self, row: int, client: int, pace: float) -> None:
        """Send a request on the client's idle connection that was used last, or on a new one."""
        idle = self.idle[client] if self.keep else None
        if idle:
            connection = idle.pop()
            connection.row = row
            # Not sent yet: a worker that has just finished the one before must not see it.
            connection.ready = inf
            connection.pace = pace
            if self.traffic.timeout is not None:
                self._limit(connection, self.traffic.timeout)
            self._compute(self.costs.send * pace + self._way, self._reuse, connection)
        else:
            self._attempt(row, client, pace)

    def _reuse(self, connection: Connection) -> None:
        """Send a request on a kept connection."""
        assert connection.worker is not None, "an idle connection was accepted once"
        if connection.abandoned:
            return  # Its client has given up before it could send.
        assert connection.row >= 0, "nothing becomes of a request that is not sent"
        connection.ready = self.clock.time
        if not connection.keep:
            # The server has closed it, and answers with a RST.
            self._lose(connection, RESET)
            return
        if self.body is not None:
            connection.uploaded = self.clock.time + self.body(connection.row)
        if self.first_byte is None:
            connection.worker.on_readable(connection)
        else:
            self._send_later(connection, self.first_byte(connection.row))

    def _pace_now(self) -> float:
        """The pace of what a client or a proxy does now, where no arrival was due."""
        return self.pace.step(self.clock.time - self.recorder.start)

    def _attempt(self, row: int, client: int, pace: float) -> None:
        """Send a request on a new connection."""
        connection = Connection(row, client)
        connection.pace = pace
        if self.traffic.timeout is not None:
            self._limit(connection, self.traffic.timeout)
        self._compute(self._connect_costs * pace + self._way, self._then_connect, connection)

    def _send_syn(self, connection: Connection) -> None:
        """The SYN of a client that is far has arrived; a RST answers it where nothing listens."""
        if self.choose_listener() is not None:
            self.clock.after(self.rtt, self._connect, connection)
        else:
            Call(self.clock, lambda _: self._lose(connection, REFUSED)).after(self._way)

    def _connect(self, connection: Connection) -> None:
        """`connect(2)`, and what the client plans to do once it is connected."""
        if connection.abandoned:
            return
        row = connection.row
        if self.first_byte is not None:
            connection.ready = self.clock.time + self.first_byte(row)
        if self.body is not None:
            connection.uploaded = max(connection.ready, self.clock.time) + self.body(row)
        listener = self.choose_listener()
        if listener is None and self.rtt:
            # The client has had the SYN-ACK; its ACK and its request find nothing that listens.
            Call(self.clock, lambda _: self._lose(connection, RESET)).after(self._way)
        elif listener is None or not listener.connect(connection):
            self._refused(connection, listener)

    def _send_later(self, connection: Connection, seconds: float) -> None:
        """Send a request on a kept connection, which the worker may close before."""
        connection.ready = self.clock.time + seconds
        if self.body is not None:
            connection.uploaded += seconds

        def send(_: Call) -> None:
            if connection.row >= 0 and connection.keep:
                assert connection.worker is not None, "a kept connection was accepted once"
                connection.worker.on_readable(connection)

        Call(self.clock, send).after(seconds)

    def _limit(self, connection: Connection, timeout: float) -> None:
        """Give the attempt up ``timeout`` s from now."""
        row = connection.row

        def give_up(_: Call) -> None:
            if connection.row == row and not connection.abandoned:
                self.leave(connection)
                self._over(row, connection.client, TIMEOUT)

        Call(self.clock, give_up).after(timeout)

    def leave(self, connection: Connection) -> None:
        """The client closes a connection, and waits for no response on it any more.

        What it has not sent yet is never sent: the server finds an idle connection closed.
        """
        connection.abandoned = True
        worker = connection.worker
        if worker is None:
            return
        if connection.ready == inf:
            worker.hang_up(connection)
        else:
            worker.client_left(connection)

    def _refused(self, connection: Connection, listener: ListeningSocket | None) -> None:
        """A connection was refused, or its SYN dropped where there is a ``listener``.

        A Unix socket has no SYN: `connect(2)` of a client that does not block, as proxies and event
        loops have it, fails with EAGAIN (`unix_stream_connect`, net/unix/af_unix.c).
        """
        if listener is None or self.unix:
            self._lose(connection, REFUSED)
        else:
            self.handshakes.begin(connection, listener)

    def _on_late_request(self) -> None:
        self.slow = True

    def answer(self, connection: Connection) -> None:
        """The worker has sent the whole response just now."""
        if connection.client == KUBELET:
            self._probed(connection, OK)
            return
        cores, costs, now = self.cores, self.costs, self.clock.time
        pace = self.answer_pace.step(now)
        connection.closes = now + costs.finish * connection.pace + self.rtt
        if cores is None or cores.free:
            # It sleeps on a core that has halted; one that computes runs it at once.
            connection.closes += costs.linger * pace
        if connection.abandoned:
            connection.keep = False
        elif self.answers_matter:
            # No longer on the connection: the next request may be there before this is finished.
            row, connection.row = connection.row, -1
            end = costs.receive * pace + self._way
            if not self.lingering:
                self._compute(end, self._on_answer, (connection, row))
            else:
                end = max(end, self._unsent(connection))
                end += 0.0 if self.read is None else self.read(row)
                connection.closes = now + end + self._way
                self.clock.after(end, self._on_answer, (connection, row))
        else:
            row, connection.row = connection.row, -1
            if cores is None or cores.free:
                self._note_answer(row, now + costs.receive * pace)
            else:
                self._compute(costs.receive * pace, self._then_received, row)

    def answer_in_passing(self, connection: Connection, ago: float) -> None:
        """The worker has sent the response ``ago`` s ago; allowed where no answer matters.

        Where the client had a core for it at once: that it was busy for so short a time goes
        without an event.
        """
        assert not self.answers_matter, "a response that matters is an event of its own"
        sent = self.clock.time - ago
        received = sent + self.costs.receive * self.answer_pace.step(sent)
        self._note_answer(connection.row, received)

    def _received(self, row: int) -> None:
        """The client has just read a response, where no answer matters."""
        self._note_answer(row, self.clock.time)

    def _note_answer(self, row: int, received: float) -> None:
        rows = self.rows
        assert rows.outcome[row] == UNFINISHED, "a request ends once"
        rows.finished[row] = received - self.recorder.start
        rows.outcome[row] = OK
        self.source.forget(row)
        self.waiting -= 1
        if not self.waiting and self._next_due == inf:
            self._finish()

    def _on_answer(self, answered: tuple[Connection, int]) -> None:
        connection, row = answered
        if connection.keep:
            self.idle[connection.client].append(connection)
        self._end(row, connection.client, OK)

    def fail(self, connection: Connection) -> None:
        """The worker has sent a 500 just now, and will close the connection."""
        if connection.client == KUBELET:
            self._probed(connection, ERROR_5XX)
            return
        connection.closes = now = self.clock.time
        if connection.abandoned:
            return
        row, connection.row = connection.row, -1
        end = max(self.costs.receive, self._unsent(connection)) + self._way
        if self.read is not None:
            end += self.read(row)
        connection.closes = now + end + self._way
        Call(self.clock, lambda _: self._end(row, connection.client, ERROR_5XX)).after(end)

    def _probed(self, connection: Connection, outcome: int) -> None:
        """The response to a probe, whose connection nobody keeps."""
        assert self.probes is not None, "only a kubelet has such connections"
        connection.keep = False
        connection.closes = self.clock.time + self.costs.finish * connection.pace
        if not connection.abandoned:
            self.probes.answered(connection, outcome)

    def _unsent(self, connection: Connection) -> float:
        """S until a slow client has sent its request: it reads no answer, and no end, before."""
        until = 0.0 if self.first_byte is None else connection.ready
        if self.body is not None:
            until = max(until, connection.uploaded)
        return max(0.0, until - self.clock.time)

    def closed(self, connection: Connection) -> None:
        """The server has closed a connection; a request that is on it is lost."""
        # A client that has yet to receive the answer will find the connection closed.
        connection.keep = False
        if connection.ready == inf:
            return  # The client is about to use it, and learns of it then.
        if connection.row >= 0:
            if until := self._unsent(connection) + self._way:
                Call(self.clock, lambda _: self._lose(connection, RESET)).after(until)
            else:
                self._lose(connection, RESET)
        elif self.keep:
            Call(self.clock, lambda _: self._learn(connection)).after(self.costs.send + self._way)

    def _learn(self, connection: Connection) -> None:
        """The client learns that one of its idle connections is closed."""
        idle = self.idle[connection.client]
        if connection in idle:
            idle.remove(connection)

    def _lose(self, connection: Connection, outcome: int) -> None:
        """The client learns that there will be no answer on this connection."""
        if connection.row >= 0 and not connection.abandoned:
            row, connection.row = connection.row, -1
            if connection.client == KUBELET:
                assert self.probes is not None, "only a kubelet has such connections"
                self.probes.over(row, outcome)
            else:
                self._over(row, connection.client, outcome)

    def _over(self, row: int, client: int, outcome: int) -> None:
        """An attempt has failed: make another, or leave it at that."""
        if self._tried[row] >= self.traffic.retries:
            self._end(row, client, outcome)
            return
        self._tried[row] += 1
        again = Call(self.clock, lambda _: self._attempt(row, client, self._pace_now()))
        again.after(self.traffic.retry_delay)

    def _end(self, row: int, client: int, outcome: int) -> None:
        rows, now = self.recorder.requests, self.clock.time - self.recorder.start
        assert rows.outcome[row] == UNFINISHED, "a request ends once"
        rows.finished[row] = now
        rows.outcome[row] = outcome
        self.source.forget(row)
        self.waiting -= 1
        self.source.answered(client, now)
        if not self._at_once and self.source.due() < self._next_due:
            # This user's next request comes before the one that was scheduled, if any.
            self._arrival = object()
            self._schedule_arrival()
        elif not self.waiting and self._next_due == inf:
            self._finish()

    def _begin_drain(self) -> None:
        """Wait `drain` s from the last arrival, if no other is due and nothing waits yet."""
        if self._next_due == inf and self._draining_since is None:
            self._draining_since = self.last_arrival
            now = self.clock.time - self.recorder.start
            self._drain.after(max(0.0, self.last_arrival + self.traffic.drain - now))

    def _on_drain(self, _: Call) -> None:
        """Give up, unless an answer has brought another arrival since the drain began."""
        # Arrivals are compared, not times: the clock may stop a rounding error short of the end.
        since, self._draining_since = self._draining_since, None
        if self._next_due == inf and since == self.last_arrival:
            self._finish()
        else:
            self._begin_drain()

    def _finish(self) -> None:
        if not self.finished.triggered:
            self.finished.succeed()
