"""The listening socket: a bounded accept queue, and the pollers that wait for it.

::

    client --connect--> accept queue (backlog) --wake every poller--> the first accept() wins
                             |
                             +-- full: the SYN is dropped, the client sends it again later
                             +-- closed by its last holder: what is queued is reset
"""

from __future__ import annotations

from bisect import bisect, insort
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Protocol

from sim.costs import Costs
from sim.model.clock import Clock
from sim.model.connection import Connection
from sim.model.cpu import Cores
from sim.model.wakeup import winning_probabilities

#: s after its first SYN at which a client sends it again, until it gives up at the last one:
#: ``tcp_syn_retries = 6`` and ``tcp_syn_linear_timeouts = 4`` (Linux 6.5): four times 1 s, then
#: each wait is twice as long as the one before.
SYN_RETRANSMISSIONS = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 11.0, 19.0, 35.0, 67.0)


class Poller(Protocol):
    """A worker's main thread, asleep until a connection comes.

    Attributes:
        registration: its place in the socket's wait queue; the highest is woken first.
    """

    registration: int

    def wake(self) -> None:
        """Run, and find the socket readable."""


class Holder(Protocol):
    """A process that has the socket open."""


class ListeningSocket:
    """One listening socket, shared by master and workers or, with ``--reuse-port``, of one worker.

    Constants: ``clock``, ``limit`` (connections that the accept queue holds), ``cores``, ``costs``,
    ``random`` (stream of the races between pollers).

    State:
        queue: connections that no worker has accepted yet, first come first served.
        sleeping: pollers that wait for a connection, in the order in which they are woken.
        waited: sum of the times that accepted connections have spent in the queue, s.
        longest: most connections that were ever in the queue.
        holders: processes that have it open; without any, it is closed.
    """

    __slots__ = (
        "_fair",
        "_known_chances",
        "_wake_halt",
        "clock",
        "cores",
        "costs",
        "holders",
        "limit",
        "longest",
        "queue",
        "random",
        "sleeping",
        "waited",
    )

    def __init__(
        self,
        clock: Clock,
        backlog: int,
        somaxconn: int,
        cores: Cores,
        costs: Costs,
        random: Random,
        *,
        fair: bool,
    ) -> None:
        self.clock = clock
        # `sk_acceptq_is_full` (include/net/sock.h) lets one more in than it was asked for.
        self.limit = min(backlog, somaxconn) + 1
        self.cores = cores
        self.costs = costs
        self.random = random
        self.queue: deque[Connection] = deque()
        self.sleeping: list[tuple[int, Poller]] = []
        self.waited = 0.0
        self.longest = 0
        self.holders: set[Holder] = set()
        self._fair = fair
        self._wake_halt = costs.wake_halt
        # By whether the idle cores have halted, then by the number of pollers.
        self._known_chances: tuple[dict[int, tuple[float, ...]], ...] = ({}, {})

    def connect(self, connection: Connection) -> bool:
        """Take a connection into the accept queue and wake the pollers; False: it is full."""
        queue = self.queue
        if len(queue) >= self.limit:
            return False
        connection.queued = self.clock.time
        queue.append(connection)
        if len(queue) > self.longest:  # noqa: PLR1730 - the call would cost more
            self.longest = len(queue)
        sleeping = self.sleeping
        if sleeping:
            number = len(sleeping)
            if number == 1:
                winner = 0
            elif self._fair:
                winner = int(self.random.random() * number)
            else:
                winner = bisect(self._chances(number), self.random.random())
            # All wake up; those that lose find nothing and sleep again, which costs them less
            # than the winner needs for its accept. So only the winner leaves the list.
            sleeping.pop(winner)[1].wake()
        return True

    def accept(self) -> Connection | None:
        """`accept(2)`: the oldest connection; None is EAGAIN."""
        if not self.queue:
            return None
        connection = self.queue.popleft()
        now = self.clock.time
        connection.accepted = now
        self.waited += now - connection.queued
        return connection

    def sleep(self, poller: Poller) -> None:
        """Let ``poller`` sleep until a connection comes; the queue must be empty for it."""
        if self._fair:
            self.sleeping.append((0, poller))
        else:
            insort(self.sleeping, (-poller.registration, poller))

    def forget(self, poller: Poller) -> None:
        """``poller`` does not wait any more."""
        sleeping = self.sleeping
        if self._fair:
            place = next((at for at, entry in enumerate(sleeping) if entry[1] is poller), -1)
        else:
            place = bisect(sleeping, (-poller.registration, poller)) - 1
        if place >= 0 and sleeping[place][1] is poller:
            del sleeping[place]

    def close(self, holder: Holder) -> Iterator[Connection]:
        """`close(2)` by ``holder``; yields the connections that are reset, if it was the last."""
        self.holders.discard(holder)
        if not self.holders:
            while self.queue:
                yield self.queue.popleft()

    def _chances(self, pollers: int) -> tuple[float, ...]:
        halted = self.cores.idle_for(self.clock.time) > self._wake_halt
        # Without the last, which is 1: whoever is left.
        known = self._known_chances[halted]
        if pollers not in known:
            known[pollers] = winning_probabilities(
                pollers, self.cores.number, self.costs, halted=halted
            )[:-1]
        return known[pollers]
