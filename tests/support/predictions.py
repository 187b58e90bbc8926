"""Predictions of experiments with other seeds and other costs, as many as a rank test takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import cycle
from random import Random

from compiled_processes import in_processes
from host_costs import this_host
from rank_test import VARIANTS, Seen

from sim.experiment import Experiment
from sim.experiment.costs import Costs
from sim.run import Run
from sim.study.observation import Observation, observe

#: Predictions that say what is judged, besides the `VARIANTS` that are judged.
CONTEXT = 10

#: Draws costs that the machine may have.
Draw = Callable[[Random], Costs]

#: Predicts an experiment, given the seed of the server's randomness.
Predict = Callable[[Experiment, int], Seen]


def predicted_run(experiment: Experiment, variant: int) -> Run:
    """The first replication."""
    # Of the compiled model in the processes that prefer it, so not before it is needed.
    from sim.model.simulation import predict  # noqa: PLC0415

    return predict(experiment, 0, variant)


def predicted_observation(experiment: Experiment, replication: int, variant: int) -> Observation:
    """One replication in numbers, with one seed of the server's randomness."""
    from sim.model.simulation import predict  # noqa: PLC0415 - as above

    return observe(predict(experiment, replication, variant))


def predicted_replication(experiment: Experiment, replication: int) -> Run:
    """One replication, with the first seed of the server's randomness."""
    from sim.model.simulation import predict  # noqa: PLC0415 - as above

    return predict(experiment, replication)


def replications(experiment: Experiment, number: int) -> list[Run]:
    """The first ``number`` replications."""
    return in_processes(predicted_replication, [experiment] * number, range(number), chunk=1)


def predictions(
    predict: Predict[Seen], experiments: Mapping[str, Experiment], draw: Draw
) -> dict[str, list[Seen]]:
    """Predictions of each experiment by name, `CONTEXT` and `VARIANTS` of them, in random order.

    Args:
        predict: see `in_processes` for what it may be.
        experiments: by name, which seeds the drawing of costs. They are predicted on this machine.
        draw: the costs of one prediction.
    """
    number = CONTEXT + VARIANTS
    drawn: list[Experiment] = []
    for name, experiment in experiments.items():
        random, here = Random(name), replace(experiment, host=this_host())
        drawn += [replace(here, costs=draw(random)) for _ in range(number)]
    seen = in_processes(predict, drawn, cycle(range(number)))
    return {
        name: seen[place * number : (place + 1) * number] for place, name in enumerate(experiments)
    }
