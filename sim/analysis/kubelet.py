"""What a kubelet did in a run: probes, restarts, and the time in which the pod took no traffic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from sim.analysis.lives import MASTER_IN, read
from sim.experiment import PROBES, ProbeKind
from sim.experiment.probe import has_probes
from sim.run import Run


@dataclass(frozen=True, slots=True)
class ProbeCount:
    """The probes of one kind.

    Attributes:
        kind: of the probes.
        probes: number of them.
        failed: number of those that failed, or have no outcome by the end of the run.
    """

    kind: ProbeKind
    probes: float
    failed: float


@dataclass(frozen=True, slots=True)
class Kubelet:
    """What a kubelet did.

    Attributes:
        probes: of each kind that was sent.
        restarts: number of times that it started a container anew.
        not_ready_s: time in which the Service did not have the pod, s.
    """

    probes: tuple[ProbeCount, ...]
    restarts: float
    not_ready_s: float


def kubelet_of(run: Run, end: float) -> Kubelet | None:
    """What the kubelet did in a run that ended at ``end``, s; None without probes."""
    if not has_probes(run.experiment):
        return None
    unready = read(run.events, (), int(run.experiment["server"]["workers"])).unready
    return Kubelet(
        tuple(
            ProbeCount(kind, len(successes), successes.count(False))
            for kind in PROBES
            if (successes := [probed.success for probed in run.probes if probed.kind == kind])
        ),
        sum(event.kind == "started" and event.process in MASTER_IN for event in run.events),
        math.fsum(max(0.0, min(each.end, end) - each.begin) for each in unready),
    )


def combined_kubelets(replications: Sequence[Kubelet | None]) -> Kubelet | None:
    """Means over the replications, at least one; None without probes."""
    known = [each for each in replications if each is not None]
    if not known:
        return None
    counts = {
        kind: [count for each in known for count in each.probes if count.kind == kind]
        for kind in PROBES
    }
    number = len(known)
    return Kubelet(
        tuple(
            ProbeCount(
                kind,
                sum(count.probes for count in of_kind) / number,
                sum(count.failed for count in of_kind) / number,
            )
            for kind, of_kind in counts.items()
            if of_kind
        ),
        fmean(each.restarts for each in known),
        fmean(each.not_ready_s for each in known),
    )
