"""The band of a prediction whose costs are the defaults: the same requests on other machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sim.analysis.band import Band, band_of
from sim.analysis.sample import Sample, sample_of
from sim.analysis.summary import Summary
from sim.experiment import Experiment
from sim.experiment.cost_ranges import RANGES, CostRanges
from sim.study.on_machines import on_machines

#: Machines of a band, where the command line does not say. One more, drawn as they are, lies beyond
#: the lowest and the highest of n in 2 of n + 1 cases: in 1 of 5 or 6.
MACHINES: Final = 10

#: A band takes as many requests as this many predictions, or `REQUESTS`, about half a second of an
#: interpreted model, if that is more. What would take longer has no band, unless it is asked for.
PREDICTIONS: Final = 2
REQUESTS: Final = 20_000

#: What a prediction without a band says.
TOO_LONG: Final = (
    "Costs are the defaults, not this machine's. How far machines differ would take "
    f"{MACHINES} times as long to say: --machines {MACHINES} does so."
)


def replications(experiment: Experiment, requests: int) -> int:
    """Replications of each machine, where the command line does not say how many machines.

    Args:
        experiment: that is predicted.
        requests: of all its replications together.

    Returns:
        0 where even one would take too long.
    """
    each = MACHINES * requests / experiment.replications
    most = max(PREDICTIONS * requests, REQUESTS)
    return min(experiment.replications, int(most / each)) if each else 1


def machine_band(
    experiment: Experiment,
    summary: Summary,
    samples: Sequence[Sample],
    number: int | None,
    *,
    keep_rows: bool = True,
    ranges: CostRanges = RANGES,
) -> Band | None:
    """Predict the same replications on other machines.

    Args:
        experiment: with default costs.
        summary: of its replications.
        samples: these replications.
        number: of machines, each of which has all replications; None for `MACHINES` with as many
            as are quick. Their costs are drawn with the experiment's seed.
        keep_rows: as in `sim.model.simulation.predict`.
        ranges: that the machines are drawn from.

    Returns:
        None where ``number`` is 0, or where it is None and that would not be quick.
    """
    if number is None:
        number, each = MACHINES, replications(experiment, summary.requests)
    else:
        each = len(samples)
    if not number or not each:
        return None
    there = on_machines(experiment, number, each, sample_of, keep_rows=keep_rows, ranges=ranges)
    return band_of(summary, samples[:each], there)
