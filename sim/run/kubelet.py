"""The rules of a kubelet: when it probes, what a result changes, how long it waits to restart.

Both interpreters follow them, each with its own clock: the model against the model of Gunicorn, the
rig against real Gunicorn.

::

    tick every `period` --> may_probe --> GET --> judge --threshold--> ready, not ready, restart
                                                                          |
    BackOff: 0, 10, 20, 40, ... 300 s --> a new container <--- SIGTERM, grace period, SIGKILL

Read in Kubernetes' source: ``pkg/kubelet/prober/worker.go`` (`doProbe`, `run`),
``pkg/kubelet/prober/prober_manager.go`` (`UpdatePodStatus`) and ``pkg/kubelet/kubelet.go``
(``MaxContainerBackOff``, ``backOffPeriod``); and in its documentation, "Pod Lifecycle", "Container
restart policy".

Not in here:

- A pod that is not ready is probed at other times too.
- The kubelet takes up to a second to see that a container has ended.
- Outside of a rollout, the list of endpoints takes its time to reach every node.
- A ``preStop`` hook runs before any SIGTERM, not only that of a rollout.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor, inf
from typing import Final

from sim.experiment import Experiment, Probe
from sim.run.arrivals import stream

#: s of the first delay of a restart, and of the longest.
FIRST_DELAY: Final = 10.0
LONGEST_DELAY: Final = 300.0

#: s that a container runs until the delays begin anew.
RESET: Final = 2 * LONGEST_DELAY

#: Part of a period by which a tick may come early and still be that tick: floats.
ROUNDING: Final = 1e-9


class Prober:
    """One probe of one container, which may be restarted.

    Its ticks are ``first``, ``first + period``, and so on, whichever container runs. A tick that
    comes while a probe is out is made up for at once, and only one: Go's ticker holds one. A new
    pod's ticks begin with it, so that its container misses the first.

    Constants: ``probe``, ``first`` (s since the start of the run), ``demands`` (draws what the
    next probe waits and computes in the application, s).

    State:
        succeeded: what the last probe was; None before any.
        run: how often in a row it was that.
        on_hold: whether it has restarted the container, and waits for the new one.
    """

    def __init__(
        self, experiment: Experiment, replication: int, probe: Probe, created: float | None = None
    ) -> None:
        """Probe a pod that was ``created`` then, s; None: long before the run.

        Of such a pod nobody knows when its ticks come.
        """
        self.probe = probe
        kind = probe.kind if created is None else f"new pod's {probe.kind}"
        if created is None:
            self.first = probe.period * stream(experiment, replication, f"{kind} tick").random()
        else:
            self.first = created + probe.period
        io = probe.io.sampler(stream(experiment, replication, f"{kind} io"))
        cpu = probe.cpu.sampler(stream(experiment, replication, f"{kind} cpu"))
        self.demands: Callable[[], tuple[float, float]] = lambda: (io(), cpu())
        self.succeeded: bool | None = None
        self.run = 0
        self.on_hold = False

    def next_tick(self, began: float, now: float) -> float:
        """When the next probe is due, s: ``now`` if a tick was missed.

        Args:
            began: when the last one began, or was skipped; before the run, minus infinity.
            now: when it was over.
        """
        if began == -inf:
            return self.first
        periods = floor((began - self.first) / self.probe.period + ROUNDING) + 1
        return max(now, self.first + periods * self.probe.period)

    def may_probe(self, age: float, *, started: bool) -> bool:
        """Whether it probes at a tick, or skips it.

        Args:
            age: of the container, s; a fresh one's is 0.
            started: whether the startup probe of the container has succeeded, if there is one.
        """
        if self.on_hold or age < self.probe.initial_delay:
            return False
        return started != (self.probe.kind == "startup")

    def judge(self, *, success: bool) -> bool | None:
        """Take a result; the new state of the probe, or None if a threshold is not reached."""
        self.run = self.run + 1 if success == self.succeeded else 1
        self.succeeded = success
        probe = self.probe
        if self.run < (probe.success_threshold if success else probe.failure_threshold):
            return None
        if not success and probe.kind != "readiness":
            self.on_hold = True
            self.run = 0
        return success

    def renew(self) -> None:
        """A new container runs."""
        self.on_hold = False


class BackOff:
    """How long a container that has ended waits for its next start (CrashLoopBackOff).

    State: ``delay`` (of the next, s), ``restarts`` (so far).
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self.restarts = 0

    def next_delay(self, age: float) -> float:
        """The wait of a container that has ended at this ``age``, s."""
        delay = 0.0 if age >= RESET else self.delay
        self.delay = min(LONGEST_DELAY, delay * 2 or FIRST_DELAY)
        self.restarts += 1
        return delay
