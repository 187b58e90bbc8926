"""What a CPU limit did in the replications of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sim.analysis.estimate import Estimate
from sim.experiment.host import CPU_PERIOD
from sim.run import CpuStat

#: Part of the periods from which on throttling is what requests wait for.
BINDS = 0.05


@dataclass(frozen=True, slots=True)
class Throttling:
    """What a CPU limit did.

    Attributes:
        cpu_limit: cores' worth of CPU that the server may use.
        cores: of the host.
        periods: periods of 100 ms in which the server used CPU, in one replication.
        throttled: those of them at whose end its threads were waiting for the next.
        share: the throttled part of the periods, from 0 to 1.
        throttled_s: s for which its threads waited, added up over the cores.
        used: cores' worth of CPU that the server used in those periods; None where the interpreter
            cannot see it.
    """

    cpu_limit: float
    cores: int
    periods: Estimate
    throttled: Estimate
    share: Estimate
    throttled_s: Estimate
    used: Estimate | None

    @property
    def binds(self) -> bool:
        """Whether the limit is what requests wait for."""
        return self.share.value >= BINDS


def throttling_of(experiment: dict[str, Any], stats: Sequence[CpuStat | None]) -> Throttling | None:
    """What the limit did; None without one, or where a replication does not say."""
    known = [stat for stat in stats if stat is not None]
    host = experiment["host"]
    if not known or len(known) < len(stats) or host.get("cpu_limit") is None:
        return None
    used = [
        stat.usage / (CPU_PERIOD * max(1, stat.nr_periods))
        for stat in known
        if stat.usage is not None
    ]
    return Throttling(
        cpu_limit=float(host["cpu_limit"]),
        cores=int(host["cores"]),
        periods=Estimate.of([float(stat.nr_periods) for stat in known]),
        throttled=Estimate.of([float(stat.nr_throttled) for stat in known]),
        share=Estimate.of([stat.nr_throttled / max(1, stat.nr_periods) for stat in known]),
        throttled_s=Estimate.of([stat.throttled_time for stat in known]),
        used=Estimate.of(used) if len(used) == len(known) else None,
    )
