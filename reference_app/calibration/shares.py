"""Who accepts on this machine, at so low a load that every worker sleeps and every core idles.

Connections come at even gaps: how far the machine has come to rest since the last counts too. Not
at a multiple of the kernel's tick, 4 ms: at 40 ms all of a run would come at the same moment of a
tick, and one of two workers had 0.41 of them in one run and 0.88 in another.
"""

from __future__ import annotations

from collections import Counter

from reference_app.measure import measure
from sim.distribution import Distribution
from sim.experiment import Experiment, Server, Traffic

#: Numbers of workers to measure: together they tell apart all that `sim.wakeup_fit` fits.
WORKERS = (2, 3, 4)

#: Connections of one measurement; a share of a half is known to 0.03 (standard error).
REQUESTS = 250

#: s between two of them.
GAP = 0.0413


def accept_shares(workers: int) -> tuple[float, ...]:
    """Share of the connections that each of so many gthread workers accepts, by boot order.

    Raises:
        ExperimentError: when the server does not boot.
    """
    experiment = Experiment(
        server=Server(workers=workers, threads=8, worker_class="gthread", preload_app=True),
        traffic=Traffic(
            arrivals="constant",
            rate=1 / GAP,
            requests=REQUESTS,
            io=Distribution("const", (0.005,)),
        ),
    )
    accepted = Counter(measure(experiment, 0, lambda *_: None).requests.worker)
    return tuple(accepted[worker] / REQUESTS for worker in range(1, workers + 1))
