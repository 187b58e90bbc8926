"""Costs of the accept race that measured shares of the accepts teach, and how certain they are.

How long an idle core takes until it runs a thread, which decides many a race, is not the same on
two machines, nor in two of one's minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from compiled_processes import in_processes
from host_costs import this_host

from sim.experiment import Experiment
from sim.experiment.accept_load import Load
from sim.experiment.costs import Costs

#: Fits, each to other resampled shares.
FITS = 11


def taught(
    experiments: Mapping[str, Experiment], shares: Mapping[str, Sequence[float]]
) -> list[dict[str, float]]:
    """Costs that may be behind the ``shares``, one set as likely as another.

    Each is fitted to shares of connections that were drawn from the measured ones (a parametric
    bootstrap; Efron and Tibshirani, *An Introduction to the Bootstrap*, section 6.5).

    Args:
        experiments: that were measured, by name.
        shares: measured in each of them, by boot order.
    """
    random = Random(1)
    seen = [
        {
            load: _resampled(shares[name], load.requests, random)
            for name, load in ((name, _load(it)) for name, it in experiments.items())
        }
        for _ in range(FITS)
    ]
    return in_processes(_fit, seen, [this_host().cores] * FITS, chunk=1)


def _load(experiment: Experiment) -> Load:
    server, traffic = experiment.server, experiment.traffic
    assert traffic.requests is not None, "shares are of a number of requests"
    return Load(server.workers, server.threads, traffic.rate, traffic.io, traffic.requests)


def _resampled(shares: Sequence[float], number: int, random: Random) -> list[float]:
    orders = range(len(shares))
    drawn = random.choices(orders, shares, k=number)
    return [drawn.count(order) / number for order in orders]


def _fit(seen: Mapping[Load, Sequence[float]], cores: int) -> dict[str, float]:
    # Of the compiled model in the processes that prefer it, so not before it is needed.
    from sim.study import race_fit  # noqa: PLC0415

    return race_fit.fit(seen, cores, Costs())
