"""Which worker accepts on this machine, where nearly always every worker sleeps.

Connections come as Poisson arrivals. At even gaps every connection finds the threads on the cores
where the one before has left them: in four runs one of two workers had 0.41, 0.54, 0.81 and 0.88.
"""

from __future__ import annotations

from collections import Counter

from reference_app.rig.measure import measure
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.accept_load import Load
from sim.experiment.distribution import Distribution

#: Mostly idle servers say how late an idle core runs a thread. How often it is ahead all the same,
#: two workers tell in whose queues requests wait now and then. The prediction for worker 1 is 0.57
#: of the connections where `Costs.wake_warm` is 0.6, and 0.29 where it is 1. A share of a half is
#: known to 0.03 (standard error), but for what one connection leaves to the next.
LOADS = (
    *(Load(workers, 8, 50.0, Distribution("const", (0.005,)), 350) for workers in (2, 4)),
    Load(2, 4, 112.0, Distribution("exp", (0.05,)), 600),
)


def accept_shares(load: Load) -> tuple[float, ...]:
    """Share of the connections that each gthread worker accepts, by boot order.

    Raises:
        ExperimentError: when the server does not boot.
    """
    accepted = Counter(measure(experiment_of(load), 0, lambda *_: None).requests.worker)
    return tuple(accepted[worker] / load.requests for worker in range(1, load.workers + 1))


def experiment_of(load: Load) -> Experiment:
    """The experiment that measures a load's shares."""
    return Experiment(
        server=Server(
            workers=load.workers, threads=load.threads, worker_class="gthread", preload_app=True
        ),
        traffic=Traffic(rate=load.rate, requests=load.requests, io=load.io),
    )
