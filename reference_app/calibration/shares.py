"""Who accepts on this machine, at so low a load that nearly always every worker sleeps.

Connections come as Poisson's do: at even gaps every one finds the threads on the cores where the
one before has left them, and one of two workers had 0.41, 0.54, 0.81 and 0.88 of them in four runs.
"""

from __future__ import annotations

from collections import Counter

from reference_app.measure import measure
from sim.distribution import Distribution
from sim.experiment import Experiment, Server, Traffic

#: Numbers of workers to measure: together they tell apart all that `sim.wakeup_fit` fits.
WORKERS = (2, 3, 4)

#: Connections of one measurement. A share of a half is known to 0.02 (standard error), but for what
#: one connection leaves to the next.
REQUESTS = 500

#: Of them a second.
RATE = 50.0


def accept_shares(workers: int) -> tuple[float, ...]:
    """Share of the connections that each of so many gthread workers accepts, by boot order.

    Raises:
        ExperimentError: when the server does not boot.
    """
    experiment = Experiment(
        server=Server(workers=workers, threads=8, worker_class="gthread", preload_app=True),
        traffic=Traffic(
            rate=RATE,
            requests=REQUESTS,
            io=Distribution("const", (0.005,)),
        ),
    )
    accepted = Counter(measure(experiment, 0, lambda *_: None).requests.worker)
    return tuple(accepted[worker] / REQUESTS for worker in range(1, workers + 1))
