"""The kubelet of the model: it probes the server as anybody would, and restarts its container.

::

    Prober --connect--> ListeningSocket --> worker --answer, close--> Clients --> Probes --> Prober
       |
       +-- readiness --> whether clients find the pod
       +-- liveness, startup --> SIGTERM to the master, grace period, SIGKILL to all, a new master

The rules are in `sim.run.kubelet`. A pod that a rollout deletes is stopped in the same way, and not
started again (`sim.model.deployment`). The container's first process is the master: where it ends,
the kernel kills all others (`zap_pid_ns_processes`, kernel/pid_namespace.c). A signal that it has
no handler for yet is dropped (`sig_task_ignored`, kernel/signal.c): SIGTERM to a master that still
imports does nothing, and SIGKILL comes when the grace period is over. A new container boots as the
first did: import, LaunchDarkly, forks.

What the kubelet computes takes time and no core: it is little, and elsewhere on most hosts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final

from simpy import Event

from sim.experiment import ProbeKind
from sim.experiment.shutdown import Shutdown, shutdown
from sim.model.client import KUBELET
from sim.model.connection import Connection
from sim.model.engine.clock import Call
from sim.model.engine.infinity import inf
from sim.model.gunicorn.arbiter import Arbiter
from sim.model.pod import Pod
from sim.model.wiring import Wiring
from sim.run import OK, REFUSED, TIMEOUT, UNFINISHED, Probed, Requests
from sim.run.kubelet import BackOff, Prober
from sim.run.rows import Rows

#: How it names what holds all processes, and what is in the Service.
CONTAINER: Final = "container"
POD: Final = "pod"

#: s between two looks at processes that have been killed.
LOOK: Final = 0.001


class Probes:
    """All probes of a run, of whichever pod; they are rows of the source.

    Constants: ``wiring``, ``columns`` (the source's rows).

    State:
        rows: the kind of each row that is a probe.
        out: what ends the wait for a probe that is out, by row.
    """

    def __init__(self, wiring: Wiring, columns: Rows) -> None:
        self.wiring = wiring
        self.columns = columns
        self.rows: dict[int, ProbeKind] = {}
        self.out: dict[int, Event] = {}
        wiring.clients.share_with(self)

    def send(self, kind: ProbeKind, io: float, cpu: float) -> tuple[int, Event]:
        """A new probe, now: its row, and the event of its outcome."""
        row = self.columns.append(self._now(), io, cpu)
        self.rows[row] = kind
        self.out[row] = over = self.wiring.clock.event()
        return row, over

    def answered(self, connection: Connection, outcome: int) -> None:
        """See `sim.model.client.ProbeEnds`."""
        row, connection.row = connection.row, -1
        receive = self.wiring.experiment.costs.receive
        Call(self.wiring.clock, lambda _: self.over(row, outcome)).after(receive)

    def over(self, row: int, outcome: int) -> None:
        """See `sim.model.client.ProbeEnds`; too late after a timeout."""
        out = self.out.pop(row, None)
        if out is None:
            return
        assert self.columns.outcome[row] == UNFINISHED, "a probe ends once"
        self.columns.finished[row] = self._now()
        self.columns.outcome[row] = outcome
        out.succeed(outcome)

    def probed(self, requests: Requests) -> tuple[Probed, ...]:
        """All probes, by time; they are among the ``requests`` of the source."""
        return tuple(Probed(kind, requests[row]) for row, kind in self.rows.items())

    def _now(self) -> float:
        return self.wiring.clock.time - self.wiring.recorder.start


class Kubelet:
    """One kubelet with one pod of one container.

    Constants: ``wiring``, ``replication``, ``pod``, ``new_master`` (boots the container of that
    number), ``probes`` (of all pods; None where the experiment has none).

    State:
        probers: of the pod.
        ready: whether the Service may have the pod.
        available: succeeds when that is so for the first time.
        running: whether the container runs.
        started: whether its startup probe has succeeded, if it has one.
        since: when it was started, s since the start of the run.
        deleted: whether a rollout has deleted the pod.
        shutdown: how the container is to be stopped; None while it is not.
        back_off: see there.
    """

    def __init__(
        self,
        wiring: Wiring,
        replication: int,
        pod: Pod,
        new_master: Callable[[int], Arbiter],
        probes: Probes | None,
    ) -> None:
        self.wiring = wiring
        self.replication = replication
        self.clock = wiring.clock
        self.costs = wiring.experiment.costs
        self.pod = pod
        self.new_master = new_master
        self.probes = probes
        kinds = {probe.kind for probe in wiring.experiment.probes}
        self._has_readiness = "readiness" in kinds
        self._has_startup = "startup" in kinds
        self.probers: tuple[Prober, ...] = ()
        self.ready = False
        self.available: Event = self.clock.event()
        self.running = False
        self.started = False
        self.since = -inf
        self.deleted = False
        self.back_off = BackOff()
        self.shutdown: Shutdown | None = None
        self._to_stop: Event = self.clock.event()

    def begin(self) -> None:
        """Probe from the start of the run on, where the container has run for a while."""
        self.ready = self.running = self.started = True
        self._watch_and_probe(None)

    def create(self) -> None:
        """Start the first container of a new pod now, and probe it."""
        self._note("created", POD)
        self._boot(0)
        self._watch_and_probe(self._now())

    def delete(self, pre_stop: float, termination_grace_period: float) -> None:
        """Stop the container now, and start no other."""
        self.deleted = True
        self._note("deleted", POD)
        self._stop(shutdown(termination_grace_period, pre_stop))

    def _watch_and_probe(self, created: float | None) -> None:
        experiment = self.wiring.experiment
        self.clock.process(self._watch())
        self.probers = tuple(
            Prober(experiment, self.replication, probe, created) for probe in experiment.probes
        )
        for prober in self.probers:
            self.clock.process(self._probe_for_ever(prober))

    def _now(self) -> float:
        return self.clock.time - self.wiring.recorder.start

    def _note(self, kind: str, what: str) -> None:
        self.wiring.recorder.event(self.clock.time, kind, self.pod.named(what))

    # Probes.

    def _probe_for_ever(self, prober: Prober) -> Generator[Event, object, None]:
        began = -inf
        while not self.deleted:
            due = prober.next_tick(began, self._now())
            yield self.clock.timeout(max(0.0, due - self._now()))
            began = self._now()
            skips = not self.running or self.deleted
            if skips or not prober.may_probe(began - self.since, started=self.started):
                continue
            since = self.since
            outcome = yield from self._probe(prober)
            if self.running and self.since == since and not self.deleted:
                self._judge(prober, success=outcome == OK)

    def _probe(self, prober: Prober) -> Generator[Event, object, object]:
        probes = self.probes
        assert probes is not None, "where there is a prober there are probes"
        io, cpu = prober.demands()
        row, over = probes.send(prober.probe.kind, io, cpu)
        connection = Connection(row, KUBELET)
        connection.uploaded = 0.0

        def time_out(_: Call) -> None:
            if row in probes.out:
                self.wiring.clients.leave(connection)
                probes.over(row, TIMEOUT)

        Call(self.clock, time_out).after(prober.probe.timeout)
        self.clock.after(self.costs.connect, self._connect, connection)
        outcome = yield over
        return outcome

    def _connect(self, connection: Connection) -> None:
        if connection.abandoned:
            return
        assert self.probes is not None, "it is a probe's connection"
        clients, listener = self.wiring.clients, self.pod.choose_listener()
        if listener is None or (clients.unix and listener.full()):
            self.probes.over(connection.row, REFUSED)
        elif not listener.connect(connection):
            clients.handshakes.begin(connection, listener)

    def _judge(self, prober: Prober, *, success: bool) -> None:
        state = prober.judge(success=success)
        if state is None:
            return
        kind = prober.probe.kind
        if kind == "readiness":
            self._set_ready(state)
        elif not state:
            self._note(f"{kind} failed", CONTAINER)
            self._stop(shutdown(prober.probe.termination_grace_period))
        elif kind == "startup":
            self.started = True
            self._note("startup over", CONTAINER)
            if not self._has_readiness:
                self._set_ready(True)

    def _set_ready(self, ready: bool) -> None:
        if ready == self.ready:
            return
        self.ready = ready
        if ready and self.pod.number > 1 and not self.available.triggered:
            self._note("available", POD)
            self.available.succeed()
        else:
            self._note("in service" if ready else "out of service", POD)

    # The container.

    def _stop(self, how: Shutdown) -> None:
        """Let the container be stopped; nothing more where it is being stopped already."""
        if self.shutdown is None:
            self.shutdown = how
            self._to_stop.succeed()

    def _watch(self) -> Generator[Event, object, None]:
        """Restart the container whenever it has ended, or a probe asks for it, or delete it."""
        number = 0
        while True:
            master = self.pod.masters[0]
            yield self._to_stop | master.process
            if self.shutdown is not None and not master.ended:
                yield from self._shut_down(master, self.shutdown)
            yield from self._end()
            if self.deleted:
                return
            delay = self.back_off.next_delay(self._now() - self.since)
            if delay:
                self._note("back-off", CONTAINER)
                yield self.clock.timeout(delay)
            if self.deleted:
                return
            number += 1
            self._note("started", CONTAINER)
            self._boot(number)

    def _shut_down(self, master: Arbiter, how: Shutdown) -> Generator[Event, object, None]:
        if how.pre_stop:
            yield master.process | self.clock.timeout(how.pre_stop)
        if not master.ended:
            self._note("sent SIGTERM", CONTAINER)
            if master.handles:
                master.kill("TERM")
            yield master.process | self.clock.timeout(how.grace_period)
        if not master.ended:
            self._note("sent SIGKILL", CONTAINER)
        else:
            # Python's end, as of a worker.
            yield self.clock.timeout(self.costs.finalize)

    def _end(self) -> Generator[Event, object, None]:
        """All processes of the container are killed that have not ended."""
        masters, workers = self.pod.masters, self.pod.workers
        for master in masters:
            master.kill("KILL")
        for worker in workers:
            worker.kill("KILL")
        while not (all(it.ended for it in masters) and all(it.ended for it in workers)):
            yield self.clock.timeout(LOOK)
        self.running = False
        self._note("ended", CONTAINER)
        if not self.deleted:
            self._set_ready(False)

    def _boot(self, number: int) -> None:
        """Boot a container; disturbances that break its boot still do."""
        self.pod.masters[:] = [self.new_master(number)]
        self.running = True
        self.started = not self._has_startup
        self.since = self._now()
        self.shutdown = None
        self._to_stop = self.clock.event()
        for prober in self.probers:
            prober.renew()
        self._set_ready(not self._has_readiness and self.started)
