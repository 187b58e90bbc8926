"""Plays a Deployment of one pod and its Service, by the rules of `sim.model.deployment`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from reference_app.rig.endpoints import Endpoints
from reference_app.rig.kubelet import Kubelet
from reference_app.rig.server import RunningServer
from sim.errors import ExperimentError
from sim.experiment import Experiment
from sim.experiment.disturbance import Rollout
from sim.run import Probed, ProcessEvent

#: s that the thread of a rollout may take to end once it is told to.
PATIENCE = 20.0


class Deployment:
    """The pods, each with a kubelet that looks after it.

    Attributes:
        endpoints: which pod clients find.
        kubelets: of all pods so far.
    """

    def __init__(self, experiment: Experiment, replication: int, server: RunningServer) -> None:
        self.endpoints = Endpoints.create()
        self._experiment = experiment
        self._replication = replication
        self._server = server
        self._events: list[ProcessEvent] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._begin = 0.0
        self.kubelets = [self._kubelet(1)]

    def _kubelet(self, pod: int) -> Kubelet:
        return Kubelet(self._experiment, self._replication, self._server, self.endpoints, pod)

    def begin(self, start: float) -> None:
        """Begin; the run starts at ``start``, CLOCK_MONOTONIC s, in a moment."""
        self._begin = start
        self.kubelets[0].begin(start)

    def roll_out(self, rollout: Rollout) -> None:
        """Begin a rollout now."""
        self._thread = threading.Thread(target=self._until_over, args=(rollout,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Do nothing more.

        Raises:
            Exception: that has kept a thread from doing what it was to do.
        """
        self._over.set()
        for kubelet in self.kubelets:
            kubelet.tell_to_end()
        if self._thread is not None:
            self._thread.join(PATIENCE)
        for kubelet in self.kubelets:
            kubelet.end()
        self.endpoints.close()
        if self._error is not None:
            raise self._error

    def events(self) -> list[ProcessEvent]:
        """What was done so far."""
        return [*self._events, *(event for kubelet in self.kubelets for event in kubelet.events)]

    def probed(self) -> tuple[Probed, ...]:
        """All probes so far, by time."""
        probed = [each for kubelet in self.kubelets for each in kubelet.probed()]
        return tuple(sorted(probed, key=lambda each: each.request.arrival))

    def _until_over(self, rollout: Rollout) -> None:
        try:
            self._roll_out(rollout)
        except Exception as error:
            self._error = error

    def _roll_out(self, rollout: Rollout) -> None:
        old, new = self.kubelets[0], self._kubelet(2)
        self.kubelets.append(new)
        new.create(self._begin)
        new.available.wait()
        if self._over.is_set():
            return
        old.delete(rollout.pre_stop, rollout.termination_grace_period)
        if self._over.wait(rollout.endpoints):
            return
        self.endpoints.switch(pod=2)
        self._events.append(ProcessEvent(time.monotonic() - self._begin, "switched", "service"))


def refuse_unplayable(experiment: Experiment) -> None:
    """Refuse an experiment whose pod cannot be taken out of its Service.

    Raises:
        ExperimentError: when a real proxy stands between the clients and a readiness probe, or the
            pods of a rollout.
    """
    if experiment.proxy.kind != "nginx":
        return
    readiness = any(probe.kind == "readiness" for probe in experiment.probes)
    rollout = any(isinstance(it, Rollout) for it in experiment.disturbances)
    for given, what in ((readiness, "readiness probe"), (rollout, "rollout")):
        if given:
            raise ExperimentError(
                f"the experiment has the proxy nginx and a {what}; expected one of them, or the "
                "proxy alb: the rig cannot take a server out of a real nginx"
            )


@contextmanager
def deployment(
    experiment: Experiment, replication: int, server: RunningServer
) -> Iterator[Deployment | None]:
    """A `Deployment` that ends with the ``with`` block; None where the experiment needs none."""
    if not experiment.in_kubernetes:
        yield None
        return
    playing = Deployment(experiment, replication, server)
    try:
        yield playing
    finally:
        playing.end()
