"""Probes of a container: the health checks by which a kubelet judges it.

Names, defaults and rules are those of Kubernetes (``Probe`` of the core/v1 API; "Configure
Liveness, Readiness and Startup Probes"), except that times need not be whole seconds, and that the
period must be given: it decides how soon a probe acts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sim.errors import ExperimentError
from sim.experiment.checks import check_choice, check_number, check_whole
from sim.experiment.distribution import Distribution

ProbeKind = Literal["liveness", "readiness", "startup"]

PROBES: tuple[ProbeKind, ...] = get_args(ProbeKind)

#: ``terminationGracePeriodSeconds`` of a pod where it says none, s.
GRACE_PERIOD = 30.0

#: A health check that takes no time of its own.
AT_ONCE = Distribution("const", (0.0,))


@dataclass(frozen=True, slots=True)
class Probe:
    """A GET of the kubelet's, again and again, each on a connection of its own.

    Attributes:
        kind: ``liveness`` restarts the container; ``readiness`` takes the pod out of its Service
            until it succeeds again; ``startup`` holds the other two back until it succeeds once,
            and restarts the container if it does not.
        period: s from one probe to the next (``periodSeconds``, 10 by default there).
        timeout: s until a probe without a response has failed (``timeoutSeconds``).
        failure_threshold: failures in a row that count (``failureThreshold``).
        success_threshold: successes in a row that count after a failure (``successThreshold``);
            1 for all but ``readiness``.
        initial_delay: s from the container's start to its first probe (``initialDelaySeconds``).
        termination_grace_period: s from SIGTERM to SIGKILL when this probe restarts the container
            (``terminationGracePeriodSeconds``); a ``readiness`` probe has none.
        io: s that its path waits in the application.
        cpu: s that its path computes there.
    """

    kind: ProbeKind
    period: float
    timeout: float = 1.0
    failure_threshold: int = 3
    success_threshold: int = 1
    initial_delay: float = 0.0
    termination_grace_period: float = GRACE_PERIOD
    io: Distribution = AT_ONCE
    cpu: Distribution = AT_ONCE

    def __post_init__(self) -> None:
        check_choice("probe kind", self.kind, PROBES)
        check_number("probe period", self.period, 0, above=True)
        check_number("probe timeout", self.timeout, 0, above=True)
        check_whole("probe failure_threshold", self.failure_threshold, 1)
        check_whole("probe success_threshold", self.success_threshold, 1)
        check_number("probe initial_delay", self.initial_delay, 0)
        check_number("probe termination_grace_period", self.termination_grace_period, 0)
        if self.kind != "readiness" and self.success_threshold != 1:
            raise ExperimentError(
                f"probe success_threshold is {self.success_threshold}; expected 1 for a "
                f"{self.kind} probe"
            )
        if self.kind == "readiness" and self.termination_grace_period != GRACE_PERIOD:
            raise ExperimentError(
                "probe termination_grace_period is given for a readiness probe, which ends "
                "nothing; expected it for a liveness or startup probe"
            )


def check_probes(probes: Sequence[Probe]) -> None:
    """Refuse two probes of one kind: a container has one of each at most."""
    for kind in PROBES:
        number = sum(probe.kind == kind for probe in probes)
        if number > 1:
            raise ExperimentError(f"there are {number} {kind} probes; expected at most one")


def has_probes(experiment: Mapping[str, Any]) -> bool:
    """Whether an experiment that `sim.experiment.document.to_dict` wrote has any probe."""
    return bool(experiment.get("probe"))
