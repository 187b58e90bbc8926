"""What goes wrong in an experiment, and when.

A disturbance has a time of its own, ``at``, in s since the start of the run; by then the server
has booted. The model and the rig do the same thing at that time, and both note it as the process
event that `event` gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from sim.errors import ExperimentError
from sim.experiment.checks import check_whole
from sim.experiment.probe import GRACE_PERIOD

#: Signals that each kind of process may be sent here, without ``SIG``.
MASTER_SIGNALS = ("HUP", "TTIN", "TTOU", "TERM", "INT", "QUIT", "USR2", "KILL")
WORKER_SIGNALS = ("KILL", "ABRT", "TERM", "INT", "QUIT", "STOP", "CONT")

#: Most s that a request may hang.
LONGEST_HANG = 86_400.0

#: How `sim.run.ProcessEvent` names the parties that are no Gunicorn process.
CLIENTS = "clients"
FLAG_SERVICE = "flag service"
DEPLOYMENT = "deployment"

#: How it names the master and all workers, where they are sent one signal together.
ALL_PROCESSES = "all processes"

#: Signals that both the master and a worker may be sent.
SHARED_SIGNALS = tuple(signal for signal in MASTER_SIGNALS if signal in WORKER_SIGNALS)


class Note(NamedTuple):
    """How a disturbance is noted in a run; see `sim.run.ProcessEvent`.

    Attributes:
        time: s since the start of the run.
        kind: what was done.
        process: to what.
    """

    time: float
    kind: str
    process: str


def _at_least(name: str, value: float, low: float, *, above: bool = False) -> None:
    if not math.isfinite(value) or value < low or (above and value == low):
        sign = ">" if above else ">="
        raise ExperimentError(f"{name} is {value}; expected a finite number {sign} {low:g}")


def _whole(name: str, value: int) -> None:
    check_whole(name, value, 1)


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal to the master, to one worker, or to all processes of the service.

    Attributes:
        at: when, s.
        signal: its name without ``SIG``; one of `MASTER_SIGNALS`, `WORKER_SIGNALS` or
            `SHARED_SIGNALS`.
        to: ``master`` (the first one, also when USR2 has started a second), ``worker``, or ``all``:
            the masters and every worker. So SIGKILL reaches a container at the end of its
            ``terminationGracePeriodSeconds``, and SIGINT a terminal's foreground processes.
        worker: which worker, by boot order; nothing happens if it is no longer there. Only for a
            signal to one worker.
    """

    kind: ClassVar[str] = "signal"

    at: float
    signal: str
    to: Literal["master", "worker", "all"] = "worker"
    worker: int = 1

    def __post_init__(self) -> None:
        _at_least("at", self.at, 0)
        known = {"master": MASTER_SIGNALS, "worker": WORKER_SIGNALS, "all": SHARED_SIGNALS}
        if self.to not in known:
            raise ExperimentError(f"to is {self.to!r}; expected master, worker or all")
        if self.signal not in known[self.to]:
            to = ALL_PROCESSES if self.to == "all" else f"a {self.to}"
            raise ExperimentError(
                f"signal is {self.signal!r}; to {to}, expected one of {', '.join(known[self.to])}"
            )
        _whole("worker", self.worker)
        if self.to != "worker" and self.worker != 1:
            raise ExperimentError(
                f"worker is {self.worker} beside to = {self.to!r}; expected one of them"
            )

    def event(self) -> Note:
        """How it is noted among the process events."""
        process = {"master": "master", "all": ALL_PROCESSES}.get(self.to, f"worker {self.worker}")
        return Note(self.at, f"sent SIG{self.signal}", process)


@dataclass(frozen=True, slots=True)
class Crash:
    """The next request that a worker starts ends the worker's process.

    Attributes:
        at: from when on, s.
        worker: which worker, by boot order.
    """

    kind: ClassVar[str] = "crash"

    at: float
    worker: int = 1

    def __post_init__(self) -> None:
        _at_least("at", self.at, 0)
        _whole("worker", self.worker)

    def event(self) -> Note:
        """How it is noted among the process events."""
        return Note(self.at, "crash set", f"worker {self.worker}")


@dataclass(frozen=True, slots=True)
class Hang:
    """The next requests that a worker starts wait so much longer before they go on.

    Attributes:
        at: from when on, s.
        worker: which worker, by boot order.
        threads: that many of its next requests hang.
        seconds: s that each hangs, without the GIL.
    """

    kind: ClassVar[str] = "hang"

    at: float
    worker: int = 1
    threads: int = 1
    seconds: float = 3600.0

    def __post_init__(self) -> None:
        _at_least("at", self.at, 0)
        _whole("worker", self.worker)
        _whole("threads", self.threads)
        _at_least("seconds", self.seconds, 0, above=True)
        if self.seconds > LONGEST_HANG:
            raise ExperimentError(
                f"seconds is {self.seconds:g}; expected at most {LONGEST_HANG:g}, a day"
            )

    def event(self) -> Note:
        """How it is noted among the process events."""
        return Note(self.at, "hang set", f"worker {self.worker}")


@dataclass(frozen=True, slots=True)
class BootError:
    """From now on every worker that boots fails, as with a broken release of the application.

    Attributes:
        at: from when on, s.
        exit_code: with which it exits: 3, an exception while it boots, or 4, the application
            cannot be imported (`Arbiter.WORKER_BOOT_ERROR`, `Arbiter.APP_LOAD_ERROR`).
    """

    kind: ClassVar[str] = "boot_error"

    at: float
    exit_code: int = 3

    def __post_init__(self) -> None:
        _at_least("at", self.at, 0)
        if self.exit_code not in (3, 4):
            raise ExperimentError(f"exit_code is {self.exit_code}; expected 3 or 4")

    def event(self) -> Note:
        """How it is noted among the process events."""
        return Note(self.at, "boot error set", "master")


@dataclass(frozen=True, slots=True)
class FlagService:
    """The LaunchDarkly service changes for every connection.

    Attributes:
        at: when, s.
        reachable: whether it answers from then on; None leaves that as it is. Going away also
            ends the streams that are open.
        latency: s from a connection to its first ``put`` from then on; None leaves it as it is.
    """

    kind: ClassVar[str] = "launchdarkly"

    at: float
    reachable: bool | None = None
    latency: float | None = None

    def __post_init__(self) -> None:
        _at_least("at", self.at, 0)
        if self.reachable is None and self.latency is None:
            raise ExperimentError("neither reachable nor latency is given; expected one of them")
        if self.latency is not None:
            _at_least("latency", self.latency, 0)

    def event(self) -> Note:
        """How it is noted among the process events."""
        changes = []
        if self.reachable is not None:
            changes.append("reachable" if self.reachable else "unreachable")
        if self.latency is not None:
            changes.append(f"latency {self.latency:g}")
        return Note(self.at, ", ".join(changes), FLAG_SERVICE)


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests arrive at another rate; only in an open loop that has one.

    Attributes:
        at: from when on, s.
        rate: requests / s; 0: none come until the next change, as when a load balancer has taken
            the server out.
    """

    kind: ClassVar[str] = "traffic"

    at: float
    rate: float

    def __post_init__(self) -> None:
        _at_least("at", self.at, 0)
        _at_least("rate", self.rate, 0)

    def event(self) -> Note:
        """How it is noted among the process events."""
        return Note(self.at, f"rate {self.rate:g}", CLIENTS)


@dataclass(frozen=True, slots=True)
class Rollout:
    """A Deployment replaces its only pod: a rolling update with ``maxSurge`` 1.

    The new pod boots beside the old one. Once it is ready, the old one is deleted: it is taken out
    of the Service, and its container is stopped, each without waiting for the other. Without a
    readiness probe (`sim.experiment.probe.Probe`) a pod is ready as soon as its container runs.

    Attributes:
        at: when the new pod is started, s.
        pre_stop: s that the container's ``preStop`` hook sleeps before it gets SIGTERM.
        endpoints: s from the deletion until clients connect to the new pod and no longer to the old
            one: every node and proxy has to learn of the Service's new list of endpoints. 1 s is
            the least time between two changes of kube-proxy's rules (``minSyncPeriod``).
        termination_grace_period: s from the deletion to SIGKILL, the hook included
            (``terminationGracePeriodSeconds`` of the pod).
    """

    kind: ClassVar[str] = "rollout"

    at: float
    pre_stop: float = 0.0
    endpoints: float = 1.0
    termination_grace_period: float = GRACE_PERIOD

    def __post_init__(self) -> None:
        _at_least("at", self.at, 0)
        _at_least("pre_stop", self.pre_stop, 0)
        _at_least("endpoints", self.endpoints, 0)
        _at_least("termination_grace_period", self.termination_grace_period, 0)

    def event(self) -> Note:
        """How it is noted among the process events."""
        return Note(self.at, "rollout", DEPLOYMENT)


Disturbance = Signal | Crash | Hang | BootError | FlagService | Rate | Rollout

#: By what a document calls them: ``kind = "signal"``.
KINDS: dict[str, type[Disturbance]] = {
    cls.kind: cls for cls in (Signal, Crash, Hang, BootError, FlagService, Rate, Rollout)
}
