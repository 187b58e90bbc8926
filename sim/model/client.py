"""The clients: they connect or reuse, send, wait and record, as the rig's load generator does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from math import inf

from sim.costs import Costs
from sim.model.clock import Call, Clock
from sim.model.connection import Connection
from sim.model.kernel import SYN_RETRANSMISSIONS, ListeningSocket
from sim.model.recorder import Recorder
from sim.run import OK, RESET, TIMEOUT
from sim.traffic import Source


class Clients:
    """Everybody who sends requests.

    Constants: ``clock``, ``costs``, ``source``, ``recorder``, ``keep`` (whether clients ask for
    keep-alive), ``drain`` (s that they wait after the last arrival), ``choose_listener`` (the
    kernel's choice of a socket for a new connection).

    Output: ``finished`` succeeds when every request has its outcome, or the drain is over.

    State: ``waiting`` (requests without an outcome), ``idle`` (connections by client, the last
    used last), ``last_arrival``.
    """

    def __init__(
        self,
        clock: Clock,
        costs: Costs,
        source: Source,
        recorder: Recorder,
        choose_listener: Callable[[], ListeningSocket],
        *,
        keep: bool,
        drain: float,
    ) -> None:
        self.clock = clock
        self.costs = costs
        self.source = source
        self.recorder = recorder
        self.choose_listener = choose_listener
        self.keep = keep
        self.drain = drain
        self.finished = clock.event()
        self.waiting = 0
        self.idle: defaultdict[int, list[Connection]] = defaultdict(list)
        self.last_arrival = 0.0
        # Nothing that a client does later depends on the answer of an open loop with new
        # connections, so it need not be an event of its own.
        self._answers_matter = keep or source.closed_loop
        # Kept connections are ready at once; whether one is idle is known when the request is due.
        self._to_server = costs.send if keep else costs.connect
        self._arrival = Call(clock, self._on_arrival)
        self._drain = Call(clock, self._on_drain)
        self._next_due = inf

    def begin(self) -> None:
        """Send the first request when it is due."""
        self._schedule_arrival()
        self._on_drain(self._drain)

    def _schedule_arrival(self) -> None:
        self._next_due = due = self.source.due()
        if due < inf:
            when = self.recorder.start + due + self._to_server
            self._arrival.after(max(0.0, when - self.clock.time))

    def _on_arrival(self, call: Call) -> None:
        if call is not self._arrival:
            return
        self.last_arrival = self._next_due
        row, client = self.source.take()
        self.waiting += 1
        idle = self.idle[client] if self.keep else None
        if idle:
            connection = idle.pop()
            connection.row = row
            assert connection.worker is not None, "an idle connection was accepted once"
            connection.worker.on_readable(connection)
        elif self.keep:
            connection = Connection(row, client)
            delay = self.costs.connect - self.costs.send
            Call(self.clock, lambda _: self._connect(connection)).after(max(0.0, delay))
        else:
            self._connect(Connection(row, client))
        self._schedule_arrival()

    def _connect(self, connection: Connection) -> None:
        if self.choose_listener().connect(connection):
            return
        # The SYN was dropped; TCP tries again, and another socket may be chosen then.
        attempt = connection.attempts
        connection.attempts += 1
        before = SYN_RETRANSMISSIONS[attempt - 1] if attempt else 0.0
        wait = SYN_RETRANSMISSIONS[attempt] - before
        if connection.attempts < len(SYN_RETRANSMISSIONS):
            Call(self.clock, lambda _: self._connect(connection)).after(wait)
        else:
            Call(self.clock, lambda _: self._end(connection, TIMEOUT)).after(wait)

    def answer(self, connection: Connection) -> None:
        """The worker has sent the whole response just now."""
        if self._answers_matter:
            Call(self.clock, lambda _: self._on_answer(connection)).after(self.costs.receive)
            return
        row = connection.row
        rows = self.recorder.requests
        rows.finished[row] = self.clock.time + self.costs.receive - self.recorder.start
        rows.outcome[row] = OK
        self.waiting -= 1
        if not self.waiting and self._next_due == inf:
            self._finish()

    def _on_answer(self, connection: Connection) -> None:
        if connection.keep:
            self.idle[connection.client].append(connection)
        self._end(connection, OK)

    def closed(self, connection: Connection) -> None:
        """The worker has closed an idle connection; a request that was on its way is lost."""
        idle = self.idle[connection.client]
        if connection in idle:
            idle.remove(connection)
        elif connection.row >= 0:
            self._end(connection, RESET)

    def _end(self, connection: Connection, outcome: int) -> None:
        row, connection.row = connection.row, -1
        rows, now = self.recorder.requests, self.clock.time - self.recorder.start
        rows.finished[row] = now
        rows.outcome[row] = outcome
        self.waiting -= 1
        self.source.answered(connection.client, now)
        if self.source.due() < self._next_due:
            # This user's next request comes before the one that was scheduled, if any.
            self._arrival = Call(self.clock, self._on_arrival)
            self._schedule_arrival()
        elif not self.waiting and self._next_due == inf:
            self._finish()

    def _on_drain(self, _: Call) -> None:
        """Give up `drain` s after the last arrival; until then, look again when that may be."""
        now = self.clock.time - self.recorder.start
        last = self.last_arrival if self._next_due == inf else self._next_due
        if self._next_due == inf and now >= last + self.drain:
            self._finish()
        else:
            self._drain.after(last + self.drain - now)

    def _finish(self) -> None:
        if not self.finished.triggered:
            self.finished.succeed()
