"""Plays the kubelet of a pod: probes its server, restarts it, and takes it out of its Service.

The rules are those of `sim.run.kubelet`, which the model follows too. A thread for each probe sends
it, as a kubelet has a goroutine for each; another looks after the container.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf

from reference_app.rig.address import Address
from reference_app.rig.container import Container
from reference_app.rig.endpoints import Endpoints
from reference_app.rig.server import RunningServer
from sim.experiment import Experiment
from sim.experiment.shutdown import Shutdown, shutdown
from sim.run import ERROR_5XX, OK, REFUSED, RESET, TIMEOUT, Probed, ProcessEvent, Requests
from sim.run.kubelet import BackOff, Prober

#: s between two looks at the container.
LOOK = 0.005

#: s that a thread may take to end once it is told to, beside what it waits for.
PATIENCE = 20.0

_OUTCOME_OF_ERRNO = {
    errno.EAGAIN: REFUSED,
    errno.ECONNREFUSED: REFUSED,
    errno.ENOENT: REFUSED,
}


class Kubelet:
    """One kubelet with one pod of one container.

    Attributes:
        available: set once the pod is ready for the first time, and when nothing is done any more.
        events: what it saw and did so far.
    """

    def __init__(
        self,
        experiment: Experiment,
        replication: int,
        server: RunningServer,
        endpoints: Endpoints,
        pod: int,
    ) -> None:
        """Look after the pod with that number, from 1: the server's first, or its surge."""
        self.available = threading.Event()
        self.events: list[ProcessEvent] = []
        self._experiment = experiment
        self._replication = replication
        self._server = server
        self._endpoints = endpoints
        self._pod = pod
        self._probers: list[Prober] = []
        self._rows: list[tuple[Prober, Requests, bytes]] = []
        kinds = {probe.kind for probe in experiment.probes}
        self._has_readiness, self._has_startup = "readiness" in kinds, "startup" in kinds
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._error: Exception | None = None
        self._begin = 0.0
        # As in `sim.model.kubelet`.
        self._ready = self._running = self._started = self._deleted = False
        self._since = -inf
        self._shutdown: Shutdown | None = None
        self._to_stop = threading.Event()
        self._container: Container | None = None
        self._address = server.addresses[pod - 1]

    def begin(self, start: float) -> None:
        """Begin; the run starts at ``start``, CLOCK_MONOTONIC s, in a moment."""
        self._begin = start
        self._ready = self._running = self._started = True
        self._container = self._server.container
        self._watch_and_probe(self._watch, None)

    def create(self, start: float) -> None:
        """Start the first container of a new pod now, and probe it; the run began at ``start``."""
        self._begin = start
        self._note("created", "pod")
        self._watch_and_probe(self._boot_and_watch, self._now())

    def delete(self, pre_stop: float, termination_grace_period: float) -> None:
        """Stop the container now, and start no other."""
        with self._lock:
            self._deleted = True
            self._note("deleted", "pod")
            self._stop(shutdown(termination_grace_period, pre_stop))

    def _watch_and_probe(self, watch: Callable[[], None], created: float | None) -> None:
        experiment, replication = self._experiment, self._replication
        self._probers = [Prober(experiment, replication, it, created) for it in experiment.probes]
        works = [watch, *(self._work(prober) for prober in self._probers)]
        for work in works:
            thread = threading.Thread(target=self._until_over, args=(work,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def tell_to_end(self) -> None:
        """Let the threads begin to end."""
        self._over.set()
        self._to_stop.set()
        self.available.set()

    def end(self) -> None:
        """Do nothing more.

        Raises:
            Exception: that has kept a thread from doing what it was to do.
        """
        self.tell_to_end()
        for thread in self._threads:
            thread.join(PATIENCE)
        if self._error is not None:
            raise self._error

    def probed(self) -> tuple[Probed, ...]:
        """All probes so far; which worker answered is in the response."""
        boot_order = {pid: number for number, pid in self._server.workers().items()}
        probed = []
        for prober, rows, body in self._rows:
            if rows.outcome[0] == OK:
                answer = json.loads(body)
                rows.started[0] = answer["started"] - self._begin
                rows.worker[0] = boot_order[answer["pid"]]
                rows.thread[0] = answer["thread"]
            probed.append(Probed(prober.probe.kind, rows[0]))
        return tuple(probed)

    def _until_over(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._error = error

    def _now(self) -> float:
        return time.monotonic() - self._begin

    def _note(self, kind: str, what: str) -> None:
        name = what if self._pod == 1 else f"{what} {self._pod}"
        self.events.append(ProcessEvent(self._now(), kind, name))

    # Probes.

    def _work(self, prober: Prober) -> Callable[[], None]:
        return lambda: self._probe_for_ever(prober)

    def _probe_for_ever(self, prober: Prober) -> None:
        began = -inf
        while not self._over.wait(max(0.0, prober.next_tick(began, self._now()) - self._now())):
            began = self._now()
            with self._lock:
                since = self._since
                if self._deleted:
                    return
                skips = not self._running or not prober.may_probe(
                    began - since, started=self._started
                )
            if skips:
                continue
            success = self._probe(prober) == OK
            with self._lock:
                if self._running and self._since == since and not self._deleted:
                    self._judge(prober, success=success)

    def _probe(self, prober: Prober) -> int:
        rows = Requests()
        row = rows.append(self._now(), *prober.demands())
        timeout = prober.probe.timeout
        outcome, body = get(self._address, rows.io[row], rows.cpu[row], timeout)
        rows.finished[row] = self._now()
        rows.outcome[row] = outcome
        self._rows.append((prober, rows, body))
        return outcome

    def _judge(self, prober: Prober, *, success: bool) -> None:
        state = prober.judge(success=success)
        if state is None:
            return
        kind = prober.probe.kind
        if kind == "readiness":
            self._set_ready(state)
        elif not state:
            self._note(f"{kind} failed", "container")
            self._stop(shutdown(prober.probe.termination_grace_period))
        elif kind == "startup":
            self._started = True
            self._note("startup over", "container")
            if not self._has_readiness:
                self._set_ready(True)

    def _set_ready(self, ready: bool) -> None:
        if ready == self._ready:
            return
        self._ready = ready
        self._endpoints.set_ready(ready, pod=self._pod)
        if ready and self._pod > 1 and not self.available.is_set():
            self._note("available", "pod")
            self.available.set()
        else:
            self._note("in service" if ready else "out of service", "pod")

    # The container.

    def _stop(self, how: Shutdown) -> None:
        """Let the container be stopped; nothing more where it is being stopped already."""
        if self._shutdown is None:
            self._shutdown = how
            self._to_stop.set()

    def _boot_and_watch(self) -> None:
        """The same of a new pod. The thread that starts a process counts as its parent."""
        surge = self._server.surge
        assert surge is not None, "a server that is rolled out has a surge"
        with self._lock:
            self._container = surge.create()
            self._booted()
        self._watch()

    def _watch(self) -> None:
        container, back_off = self._container, BackOff()
        assert container is not None, "a pod is watched once it has a container"
        while not self._over.is_set():
            self._to_stop.wait(LOOK)
            if self._over.is_set():
                return
            if self._shutdown is not None and not container.ended():
                self._shut_down(container, self._shutdown)
            elif not container.ended():
                continue
            if self._over.is_set():
                return
            container.stop(0.0)
            with self._lock:
                self._running = False
                self._note("ended", "container")
                if self._deleted:
                    return
                self._set_ready(False)
            delay = back_off.next_delay(self._now() - self._since)
            if delay:
                self._note("back-off", "container")
            if self._over.wait(delay) or self._deleted:
                return
            with self._lock:
                container.restart()
                self._note("started", "container")
                self._booted()

    def _shut_down(self, container: Container, how: Shutdown) -> None:
        """The hook, SIGTERM, and SIGKILL if the master has not ended in time."""
        if how.pre_stop and self._ends_within(container, how.pre_stop):
            return
        self._note("sent SIGTERM", "container")
        # The kernel drops what the first process of a container has no handler for.
        master = container.process.pid
        if self._server.listens(master):
            with suppress(ProcessLookupError):
                os.kill(master, signal.SIGTERM)
        if not self._ends_within(container, how.grace_period):
            self._note("sent SIGKILL", "container")

    def _ends_within(self, container: Container, seconds: float) -> bool:
        """Wait so long for the master to end; whether it has, or nothing is done any more."""
        deadline = time.monotonic() + seconds
        while not container.ended() and time.monotonic() < deadline:
            if self._over.wait(min(LOOK, max(0.0, deadline - time.monotonic()))):
                return True
        return container.ended()

    def _booted(self) -> None:
        """A container has just been started."""
        self._running = True
        self._started = not self._has_startup
        self._since = self._now()
        self._shutdown = None
        self._to_stop.clear()
        for prober in self._probers:
            prober.renew()
        self._set_ready(not self._has_readiness and self._started)


def get(address: Address, io: float, cpu: float, timeout: float) -> tuple[int, bytes]:
    """One GET on a connection of its own: the outcome, and the response's body.

    Args:
        address: of the server.
        io: s that the request is to wait.
        cpu: s that it is to compute.
        timeout: s for all of it.
    """
    deadline = time.monotonic() + timeout
    request = (
        f"GET /work?io={io!r}&cpu={cpu!r} HTTP/1.1\r\nHost: localhost\r\n"
        "User-Agent: kube-probe/rig\r\nConnection: close\r\n\r\n"
    ).encode()
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    response = b""
    with socket.socket(family) as connection:
        try:
            connection.settimeout(timeout)
            connection.connect(address)
            connection.sendall(request)
            while True:
                connection.settimeout(max(1e-3, deadline - time.monotonic()))
                received = connection.recv(65536)
                if not received:
                    break
                response += received
        except TimeoutError:
            return TIMEOUT, b""
        except OSError as error:
            return _OUTCOME_OF_ERRNO.get(error.errno or 0, RESET), b""
    head, _, body = response.partition(b"\r\n\r\n")
    status = head[9:12]
    if not status:
        return RESET, b""
    # "Any code greater than or equal to 200 and less than 400 indicates success."
    return (OK if b"200" <= status < b"400" else ERROR_5XX), body
