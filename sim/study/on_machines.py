"""The same replications on other machines, for predictions whose costs are the defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from sim.experiment import Experiment
from sim.experiment.cost_ranges import RANGES, CostRanges, machines
from sim.model.simulation import predict
from sim.reports.progress import progress
from sim.run import Run

Seen = TypeVar("Seen")


def on_machines(
    experiment: Experiment,
    number: int,
    replications: int,
    see: Callable[[Run], Seen],
    *,
    keep_rows: bool = True,
    ranges: CostRanges = RANGES,
) -> list[list[Seen]]:
    """What is seen of each replication on each machine; progress is shown.

    Args:
        experiment: with default costs; those of the machines are drawn with its seed.
        number: of machines.
        replications: of each machine.
        see: what is kept of a run.
        keep_rows: as in `sim.model.simulation.predict`.
        ranges: that the machines are drawn from.
    """
    seen: list[list[Seen]] = []
    with progress("predicting other machines", number * replications) as done:
        # Another machine has other chances too: the runs are what would be measured there.
        drawn = machines(number, experiment.costs, experiment.seed, ranges)
        for variant, costs in enumerate(drawn, start=1):
            there = replace(experiment, costs=costs)
            seen.append([])
            for replication in range(replications):
                seen[-1].append(see(predict(there, replication, variant, keep_rows=keep_rows)))
                done((variant - 1) * replications + replication + 1)
    return seen
