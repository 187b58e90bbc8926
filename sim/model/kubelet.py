"""The kubelet of the model: it probes the server as anybody would, and restarts its container.

::

    Prober --connect--> ListeningSocket --> worker --answer, close--> Clients --> Prober
       |
       +-- readiness --> whether clients find the server
       +-- liveness, startup --> SIGTERM to the master, grace period, SIGKILL to all, a new master

The rules are in `sim.run.kubelet`. The container's first process is the master: where it ends, the
kernel kills all others (`zap_pid_ns_processes`, kernel/pid_namespace.c). A signal that it has no
handler for yet is dropped (`sig_task_ignored`, kernel/signal.c): SIGTERM to a master that still
imports does nothing, and SIGKILL comes when the grace period is over. A new container boots as the
first did: import, LaunchDarkly, forks.

What the kubelet computes takes time and no core: it is little, and elsewhere on most hosts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import inf
from typing import Final

from simpy import Event

from sim.experiment import ProbeKind
from sim.model.client import KUBELET
from sim.model.connection import Connection
from sim.model.engine.clock import Call
from sim.model.gunicorn.arbiter import Arbiter
from sim.model.gunicorn.worker import Worker
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.wiring import Wiring
from sim.run import OK, REFUSED, TIMEOUT, UNFINISHED, Probed, Requests
from sim.run.kubelet import BackOff, Prober

#: How it names what holds all processes, and what is in the Service.
CONTAINER: Final = "container"
POD: Final = "pod"

#: s between two looks at processes that have been killed.
LOOK: Final = 0.001


class Kubelet:
    """One kubelet with one pod of one container.

    Constants: ``wiring``, ``columns`` (the rows of the source), ``masters`` and ``workers`` (as
    `sim.model.disturb.disturb` has them), ``choose_listener`` (the kernel's choice of a socket,
    also while the pod is not ready), ``new_master`` (boots the container of that number),
    ``probers``.

    State:
        rows: the kind of each row that is a probe.
        ready: whether the Service has the pod.
        running: whether the container runs.
        started: whether its startup probe has succeeded, if it has one.
        since: when it was started, s since the start of the run.
        grace_period: s that a failed probe gives it to end; None while none has failed.
        back_off: see there.
    """

    def __init__(
        self,
        wiring: Wiring,
        replication: int,
        columns: Requests,
        masters: list[Arbiter],
        workers: list[Worker],
        choose_listener: Callable[[], ListeningSocket | None],
        new_master: Callable[[int], Arbiter],
    ) -> None:
        self.wiring = wiring
        self.clock = wiring.clock
        self.costs = wiring.experiment.costs
        self.columns = columns
        self.masters = masters
        self.workers = workers
        self.choose_listener = choose_listener
        self.new_master = new_master
        probes = wiring.experiment.probes
        self.probers = tuple(Prober(wiring.experiment, replication, probe) for probe in probes)
        self._has_readiness = any(probe.kind == "readiness" for probe in probes)
        self._has_startup = any(probe.kind == "startup" for probe in probes)
        self.rows: dict[int, ProbeKind] = {}
        self._out: dict[int, Event] = {}
        self.ready = True
        self.running = True
        self.started = True
        self.since = -inf
        self.back_off = BackOff()
        self.grace_period: float | None = None
        self._to_stop: Event = self.clock.event()
        wiring.clients.share_with(self)

    def begin(self) -> None:
        """Probe from the start of the run on, where the container has run for a while."""
        self.clock.process(self._watch())
        for prober in self.probers:
            self.clock.process(self._probe_for_ever(prober))

    def probed(self) -> tuple[Probed, ...]:
        """All probes, by time."""
        return tuple(Probed(kind, self.columns[row]) for row, kind in self.rows.items())

    def _now(self) -> float:
        return self.clock.time - self.wiring.recorder.start

    def _note(self, kind: str, what: str) -> None:
        self.wiring.recorder.event(self.clock.time, kind, what)

    # Probes.

    def _probe_for_ever(self, prober: Prober) -> Generator[Event, object, None]:
        began = -inf
        while True:
            due = prober.next_tick(began, self._now())
            yield self.clock.timeout(max(0.0, due - self._now()))
            began = self._now()
            if not self.running or not prober.may_probe(began - self.since, started=self.started):
                continue
            since = self.since
            outcome = yield from self._probe(prober)
            if self.running and self.since == since:
                self._judge(prober, success=outcome == OK)

    def _probe(self, prober: Prober) -> Generator[Event, object, object]:
        io, cpu = prober.demands()
        row = self.columns.append(self._now(), io, cpu)
        self.rows[row] = prober.probe.kind
        self._out[row] = over = self.clock.event()
        connection = Connection(row, KUBELET)
        connection.uploaded = 0.0

        def time_out(_: Call) -> None:
            if row in self._out:
                connection.abandoned = True
                self.over(row, TIMEOUT)

        Call(self.clock, time_out).after(prober.probe.timeout)
        self.clock.after(self.costs.connect, self._connect, connection)
        outcome = yield over
        return outcome

    def _connect(self, connection: Connection) -> None:
        if connection.abandoned:
            return
        clients, listener = self.wiring.clients, self.choose_listener()
        if listener is None or (clients.unix and listener.full()):
            self.over(connection.row, REFUSED)
        elif not listener.connect(connection):
            clients.handshakes.begin(connection, listener)

    def answered(self, connection: Connection, outcome: int) -> None:
        """See `sim.model.client.ProbeEnds`."""
        row, connection.row = connection.row, -1
        Call(self.clock, lambda _: self.over(row, outcome)).after(self.costs.receive)

    def over(self, row: int, outcome: int) -> None:
        """See `sim.model.client.ProbeEnds`; too late after a timeout."""
        out = self._out.pop(row, None)
        if out is None:
            return
        assert self.columns.outcome[row] == UNFINISHED, "a probe ends once"
        self.columns.finished[row] = self._now()
        self.columns.outcome[row] = outcome
        out.succeed(outcome)

    def _judge(self, prober: Prober, *, success: bool) -> None:
        state = prober.judge(success=success)
        if state is None:
            return
        kind = prober.probe.kind
        if kind == "readiness":
            self._set_ready(state)
        elif not state:
            self._note(f"{kind} failed", CONTAINER)
            if self.grace_period is None:
                self.grace_period = prober.probe.termination_grace_period
                self._to_stop.succeed()
        elif kind == "startup":
            self.started = True
            self._note("startup over", CONTAINER)

    def _set_ready(self, ready: bool) -> None:
        if ready != self.ready:
            self.ready = ready
            self._note("in service" if ready else "out of service", POD)

    # The container.

    def _watch(self) -> Generator[Event, object, None]:
        """Restart the container whenever it has ended, or a probe asks for it."""
        number = 0
        while True:
            master = self.masters[0]
            yield self._to_stop | master.process
            if self.grace_period is not None and not master.ended:
                self._note("sent SIGTERM", CONTAINER)
                if master.handles:
                    master.kill("TERM")
                yield master.process | self.clock.timeout(self.grace_period)
                if not master.ended:
                    self._note("sent SIGKILL", CONTAINER)
                else:
                    # Python's end, as of a worker.
                    yield self.clock.timeout(self.costs.finalize)
            yield from self._end()
            delay = self.back_off.next_delay(self._now() - self.since)
            if delay:
                self._note("back-off", CONTAINER)
                yield self.clock.timeout(delay)
            number += 1
            self._start(number)

    def _end(self) -> Generator[Event, object, None]:
        """All processes of the container are killed that have not ended."""
        for master in self.masters:
            master.kill("KILL")
        for worker in self.workers:
            worker.kill("KILL")
        while not (all(it.ended for it in self.masters) and all(it.ended for it in self.workers)):
            yield self.clock.timeout(LOOK)
        self.running = False
        self._note("ended", CONTAINER)
        self._set_ready(False)

    def _start(self, number: int) -> None:
        """Start the container anew; disturbances that break its boot still do."""
        boot_error = self.masters[0].boot_error
        master = self.new_master(number)
        master.boot_error = boot_error
        self.masters[:] = [master]
        self.running = True
        self.started = not self._has_startup
        self.since = self._now()
        self.grace_period = None
        self._to_stop = self.clock.event()
        for prober in self.probers:
            prober.renew()
        self._note("started", CONTAINER)
        self._set_ready(not self._has_readiness)
