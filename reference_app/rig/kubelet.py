"""Plays the kubelet: probes a running server, restarts it, and takes it out of its Service.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf

from reference_app.rig.address import Address
from reference_app.rig.container import LOOK
from reference_app.rig.endpoints import Endpoints
from reference_app.rig.server import RunningServer
from sim.errors import ExperimentError
from sim.experiment import Experiment
from sim.run import ERROR_5XX, OK, REFUSED, RESET, TIMEOUT, Probed, ProcessEvent, Requests
from sim.run.kubelet import BackOff, Prober

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
        endpoints: whether clients find the server.
        events: what it saw and did so far.
    """

    def __init__(self, experiment: Experiment, replication: int, server: RunningServer) -> None:
        self.endpoints = Endpoints.create()
        self.events: list[ProcessEvent] = []
        self._server = server
        self._probers = [Prober(experiment, replication, it) for it in experiment.probes]
        self._rows: list[tuple[Prober, Requests, bytes]] = []
        kinds = {probe.kind for probe in experiment.probes}
        self._has_readiness, self._has_startup = "readiness" in kinds, "startup" in kinds
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._error: Exception | None = None
        self._begin = 0.0
        # As in `sim.model.kubelet`.
        self._ready = self._running = self._started = True
        self._since = -inf
        self._grace_period: float | None = None
        self._to_stop = threading.Event()

    def begin(self, start: float) -> None:
        """Begin; the run starts at ``start``, CLOCK_MONOTONIC s, in a moment."""
        self._begin = start
        works = [self._watch, *(self._work(prober) for prober in self._probers)]
        for work in works:
            thread = threading.Thread(target=self._until_over, args=(work,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self) -> None:
        """Do nothing more.

        Raises:
            Exception: that has kept a thread from doing what it was to do.
        """
        self._over.set()
        self._to_stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        self.endpoints.close()
        if self._error is not None:
            raise self._error

    def probed(self) -> tuple[Probed, ...]:
        """All probes so far, by time; which worker answered is in the response."""
        boot_order = {pid: number for number, pid in self._server.workers().items()}
        probed = []
        for prober, rows, body in sorted(self._rows, key=lambda row: row[1].arrival[0]):
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
        self.events.append(ProcessEvent(self._now(), kind, what))

    # Probes.

    def _work(self, prober: Prober) -> Callable[[], None]:
        return lambda: self._probe_for_ever(prober)

    def _probe_for_ever(self, prober: Prober) -> None:
        began = -inf
        while not self._over.wait(max(0.0, prober.next_tick(began, self._now()) - self._now())):
            began = self._now()
            with self._lock:
                since = self._since
                skips = not self._running or not prober.may_probe(
                    began - since, started=self._started
                )
            if skips:
                continue
            success = self._probe(prober) == OK
            with self._lock:
                if self._running and self._since == since:
                    self._judge(prober, success=success)

    def _probe(self, prober: Prober) -> int:
        rows = Requests()
        row = rows.append(self._now(), *prober.demands())
        timeout = prober.probe.timeout
        outcome, body = get(self._server.address, rows.io[row], rows.cpu[row], timeout)
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
            if self._grace_period is None:
                self._grace_period = prober.probe.termination_grace_period
                self._to_stop.set()
        elif kind == "startup":
            self._started = True
            self._note("startup over", "container")

    def _set_ready(self, ready: bool) -> None:
        if ready != self._ready:
            self._ready = ready
            self.endpoints.set_ready(ready)
            self._note("in service" if ready else "out of service", "pod")

    # The container.

    def _watch(self) -> None:
        container, back_off = self._server.container, BackOff()
        while not self._over.is_set():
            self._to_stop.wait(LOOK)
            if self._over.is_set():
                return
            if self._grace_period is not None and not container.ended():
                self._terminate(self._grace_period)
            elif not container.ended():
                continue
            if self._over.is_set():
                return
            container.stop(0.0)
            with self._lock:
                self._running = False
                self._note("ended", "container")
                self._set_ready(False)
            delay = back_off.next_delay(self._now() - self._since)
            if delay:
                self._note("back-off", "container")
            if self._over.wait(delay):
                return
            self._start()

    def _terminate(self, grace_period: float) -> None:
        """SIGTERM, and SIGKILL if the master has not ended in time."""
        container = self._server.container
        self._note("sent SIGTERM", "container")
        # The kernel drops what the first process of a container has no handler for.
        if self._server.listens():
            with suppress(ProcessLookupError):
                os.kill(container.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_period
        while not container.ended() and time.monotonic() < deadline:
            if self._over.wait(min(LOOK, max(0.0, deadline - time.monotonic()))):
                return
        if not container.ended():
            self._note("sent SIGKILL", "container")

    def _start(self) -> None:
        with self._lock:
            self._server.container.restart()
            self._running = True
            self._started = not self._has_startup
            self._since = self._now()
            self._grace_period = None
            self._to_stop.clear()
            for prober in self._probers:
                prober.renew()
            self._note("started", "container")
            self._set_ready(not self._has_readiness)


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


def refuse_unplayable(experiment: Experiment) -> None:
    """Refuse an experiment whose pod cannot be taken out of its Service.

    Raises:
        ExperimentError: when a real proxy stands between the clients and a readiness probe.
    """
    kinds = {probe.kind for probe in experiment.probes}
    if "readiness" in kinds and experiment.proxy.kind == "nginx":
        raise ExperimentError(
            "the experiment has the proxy nginx and a readiness probe; expected one of them, or "
            "the proxy alb: the rig cannot take a server out of a real nginx"
        )


@contextmanager
def kubelet(
    experiment: Experiment, replication: int, server: RunningServer
) -> Iterator[Kubelet | None]:
    """A `Kubelet` that ends with the ``with`` block; None where the experiment has no probes."""
    if not experiment.probes:
        yield None
        return
    playing = Kubelet(experiment, replication, server)
    try:
        yield playing
    finally:
        playing.end()
