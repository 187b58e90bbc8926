"""On how many machines that nobody has calibrated a configuration meets its objectives."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Final

from sim.experiment import Experiment
from sim.study.compile_hint import requests_of
from sim.study.machine_band import MACHINES
from sim.study.objective import Objective
from sim.study.observation import observe
from sim.study.on_machines import on_machines

#: Replications of each machine.
REPLICATIONS: Final = 2

#: Requests of all machines together, at most: about 2 s of an interpreted model.
MOST_REQUESTS: Final = 100_000


def meeting(experiment: Experiment, objectives: Sequence[Objective]) -> int | None:
    """The number of `MACHINES` on which all objectives are met, in the mean of `REPLICATIONS`.

    Args:
        experiment: with default costs; machines are drawn with its seed.
        objectives: that are to be met.

    Returns:
        None where that would take too long.
    """
    if requests_of((experiment,), MACHINES * REPLICATIONS) > MOST_REQUESTS:
        return None
    return sum(
        all(
            fmean(objective.of(each) for each in observed) <= objective.limit
            for objective in objectives
        )
        for observed in on_machines(experiment, MACHINES, REPLICATIONS, observe)
    )


def sentence(met: int | None) -> str:
    """What `size` says of its answer where costs are the defaults."""
    if met is None:
        return "Costs are the defaults, not this machine's; `calibrate` and --costs tell of yours."
    return (
        f"Costs are the defaults, not this machine's: on {met} of {MACHINES} machines like those "
        "that were calibrated this configuration meets the objectives. `calibrate` and --costs "
        "tell of yours."
    )
