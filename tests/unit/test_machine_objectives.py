"""`size` says on how many machines that nobody has calibrated its answer holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.experiment import Experiment, Server, Traffic
from sim.experiment.cost_ranges import machines
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from sim.study.machine_band import MACHINES
from sim.study.machine_objectives import REPLICATIONS, meeting, sentence
from sim.study.objective import Objective
from sim.study.observation import observe

#: Requests that one thread serves without a queue: a machine's latency is that of its steps.
SPARSE = Experiment(
    server=Server(worker_class="gthread"),
    traffic=Traffic(arrivals="constant", rate=5.0, requests=20, io=Distribution("const", (0.001,))),
)


def means() -> list[float]:
    """The mean latency on each machine, s."""
    found = []
    for place, costs in enumerate(machines(MACHINES, Costs(), SPARSE.seed)):
        there = replace(SPARSE, costs=costs)
        observed = [observe(predict(there, number, 1 + place)) for number in range(REPLICATIONS)]
        found.append(sum(one.mean for one in observed if one.mean is not None) / REPLICATIONS)
    return sorted(found)


@pytest.mark.parametrize("met", [0, 4, MACHINES])
def test_an_objective_is_met_where_the_machine_is_quick_enough(met: int) -> None:
    ordered = [0.0, *means(), 1.0]
    limit = (ordered[met] + ordered[met + 1]) / 2
    assert meeting(SPARSE, [Objective("mean", limit)]) == met
    # All of them have to be met.
    assert meeting(SPARSE, [Objective("mean", limit), Objective("p99", 0.0001)]) == 0


def test_what_takes_long_is_not_counted() -> None:
    long = replace(SPARSE, traffic=replace(SPARSE.traffic, requests=50_000))
    assert meeting(long, [Objective("mean", 1.0)]) is None
    assert "machines" not in sentence(None)
    assert f"on 7 of {MACHINES} machines" in sentence(7)
