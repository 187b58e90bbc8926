"""LaunchDarkly, as a process that evaluates flags meets it (ldclient, and impl/datasource).

::

    start / postfork() --connect--> stream --latency--> first `put`: initialized
            |                          |
            +-- start_wait at most     +-- fails, or ends: again after 1, 2, 4 ... 30 s

Flags are evaluated from memory, so requests never wait for the service: only whoever starts a
client does.
"""

from __future__ import annotations

from collections.abc import Generator
from random import Random

from simpy import Event

from sim.experiment import LaunchDarkly
from sim.model.engine.clock import Clock

#: s before the first retry (``DEFAULT_INITIAL_RECONNECT_DELAY``), and at most before any
#: (``NORMAL_STREAMING_CEILING_DELAY``, ldclient/impl/retry.py); each is twice the one before,
#: less a random part of up to `JITTER` of it.
FIRST_RETRY = 1.0
LONGEST_RETRY = 30.0
JITTER = 0.5

#: s of health after which the retries begin anew (``STREAMING_RESET_INTERVAL``).
RESET_INTERVAL = 60.0

#: Threads that a client runs in its process once it is up, counted in ``/proc/PID/task`` with
#: launchdarkly-server-sdk 9.20.
CLIENT_THREADS = 11


class Connection:
    """A TCP connection of a client to the service; children of its process inherit it.

    State: ``open``.
    """

    def __init__(self) -> None:
        self.open = True


class FlagService:
    """The service itself.

    State: ``reachable``, ``latency`` (s from a connection to its first ``put``), ``changed`` (an
    event that happens at the next change).
    """

    def __init__(self, clock: Clock, settings: LaunchDarkly) -> None:
        self.clock = clock
        self.reachable = settings.reachable
        self.latency = settings.latency
        self.changed = clock.event()

    def change(self, reachable: bool | None, latency: float | None) -> None:
        """Change what is not None, and end the streams if it goes away."""
        if reachable is not None:
            self.reachable = reachable
        if latency is not None:
            self.latency = latency
        changed, self.changed = self.changed, self.clock.event()
        changed.succeed()


class LDClient:
    """One process's client.

    Constants: ``clock``, ``service``, ``random`` (stream of the jitter of retries).

    State: ``stream`` (its connection for flags; None while it is down), ``events`` (the one on
    which it sends events, open between them too; None before the first), ``running`` (whether
    it has been started and its process lives), ``initialized`` (happens with the first ``put``).
    """

    def __init__(self, clock: Clock, service: FlagService, random: Random) -> None:
        self.clock = clock
        self.service = service
        self.random = random
        self.stream: Connection | None = None
        self.events: Connection | None = None
        self.running = False
        self.initialized = clock.event()

    def start(self, start_wait: float) -> Generator[Event, object, bool]:
        """Start the threads and wait for the first flags, ``start_wait`` s at most.

        Returns:
            Whether they have come.
        """
        self.running = True
        self.clock.process(self._stream())
        yield self.initialized | self.clock.timeout(start_wait)
        return self.stream is not None

    def connections(self) -> tuple[Connection, ...]:
        """Those that are open."""
        both = (self.stream, self.events)
        return tuple(each for each in both if each is not None and each.open)

    def stop(self) -> None:
        """Be gone, with the process."""
        self.running = False

    def _stream(self) -> Generator[Event, object, None]:
        service, failures = self.service, 0
        while self.running:
            began = self.clock.time
            if service.reachable:
                if self.events is None:
                    # The first event says that the client has started (`DiagnosticEventSender`).
                    self.events = Connection()
                yield from self._until_unreachable(service.latency)
                if service.reachable and self.running:
                    self.stream = Connection()
                    if not self.initialized.triggered:
                        self.initialized.succeed()
                    yield from self._until_unreachable(None)
                    self.stream.open = False
                    self.stream = None
            if self.clock.time - began > RESET_INTERVAL:
                failures = 0
            longest = min(LONGEST_RETRY, FIRST_RETRY * 2**failures)
            failures += 1
            yield self.clock.timeout(longest * (1 - JITTER * self.random.random()))

    def _until_unreachable(self, limit: float | None) -> Generator[Event, object, None]:
        """Wait until the service goes away, but ``limit`` s at most."""
        over = None if limit is None else self.clock.timeout(limit)
        while self.service.reachable and self.running:
            changed = self.service.changed
            yield changed if over is None else changed | over
            if over is not None and over.processed:
                return
