"""What is judged of a boot: its parts, and what happened to the workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from predictions import predicted_run
from rank_test import Criterion, Statistics

from sim.experiment import Experiment
from sim.run import ProcessEvent

#: s, or the part of a time, by which prediction and measurement may differ: the model's own error.
ABSOLUTE = 0.1
RELATIVE = 0.1


@dataclass(frozen=True)
class Boot:
    """The parts of one boot, s.

    Attributes:
        until_listening: from the start of the master's process until it listens.
        workers: from fork to ready, by boot order.
        gaps: from each fork to the next.
        kinds: what happened to the workers, in any order.
    """

    until_listening: float
    workers: list[float]
    gaps: list[float]
    kinds: list[str]


def boot_of(events: tuple[ProcessEvent, ...], began: float) -> Boot:
    """The parts of a boot that began at ``began``."""
    times = {(event.kind, event.process): event.time for event in events}
    names = [event.process for event in events if event.kind == "fork"]
    forks = [times["fork", name] for name in names]
    return Boot(
        times["listening", "master"] - began,
        [times["ready", name] - times["fork", name] for name in names],
        [after - before for before, after in pairwise(forks)],
        sorted(event.kind for event in events),
    )


def predicted_boot(experiment: Experiment, variant: int) -> Boot:
    """The boot of one prediction."""
    costs, server, flags = experiment.costs, experiment.server, experiment.launchdarkly
    # What is before the first event is known to the reader of the model only.
    wait = min(flags.latency, flags.start_wait) if flags.reachable else flags.start_wait
    imported = costs.import_app + (wait if flags.enabled else 0.0)
    until_listening = costs.reexec + (imported if server.preload_app else 0.0)
    events = predicted_run(experiment, variant).events
    (listening,) = (event.time for event in events if event.kind == "listening")
    return boot_of(events, listening - until_listening)


def _statistics(boot: Boot) -> Statistics:
    times = {
        "until it listens": boot.until_listening,
        **{f"worker {number}, fork to ready": s for number, s in enumerate(boot.workers, start=1)},
        **{f"gap {number} between forks": s for number, s in enumerate(boot.gaps, start=1)},
    }
    return Statistics(Counter(f"events: {kind}" for kind in boot.kinds), times)


def _tolerance(name: str, predicted: float) -> float:
    return 0.0 if name.startswith("events") else max(ABSOLUTE, RELATIVE * predicted)


def criteria(context: Sequence[Boot]) -> Criterion[Boot]:
    """What is judged; the ``context`` does not change it."""
    del context
    return Criterion(_statistics, _tolerance)
