"""What a host's shares of the accepts say about its scheduler: `sim.model.wakeup`, backwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from sim.costs import Costs
from sim.model.wakeup import Sleeper, rested, winner

#: Those that change with the hour: from how fast an idle core runs a thread, for the most part. The
#: others are the scheduler's.
FITTED = ("wake_owed", "wake_late")

#: Sizes of the search's steps, one after the other.
STEPS = (0.2, 0.1, 0.05, 0.02, 0.01)

#: Connections that are drawn to predict shares: chance moves them by 0.01 then.
CONNECTIONS = 4_000

#: s from a connection until its request is finished.
SERVICE = 0.006


def predicted_shares(workers: int, cores: int, costs: Costs, rate: float) -> tuple[float, ...]:
    """Share of the connections of each worker, by boot order, where all of them always sleep.

    Args:
        workers: gthread workers, at least 1.
        cores: of the host, all of them idle when a connection comes.
        costs: its ``wake_*``.
        rate: connections / s, whose gaps are exponential.
    """
    random = Random(1)
    # The worker that registered last is woken first.
    sleeping = [(-worker, Sleeper()) for worker in range(workers, 0, -1)]
    accepted = [0] * workers
    now, since, last = 0.0, -1.0, -1
    for _ in range(CONNECTIONS):
        gap = random.expovariate(rate)
        now += gap
        rest = rested(gap, 1 / rate)
        won = winner(sleeping, last, since, cores, costs, rest, random)
        accepted[workers - 1 - won] += 1
        since, last = now, won
        sleeping[won][1].alone_at = now + SERVICE
    return tuple(number / CONNECTIONS for number in accepted)


def fit(
    shares: Mapping[int, Sequence[float]], cores: int, base: Costs, rate: float
) -> dict[str, float]:
    """The `FITTED` costs whose shares are next to measured ones, by the sum of squared differences.

    Args:
        shares: measured at low load, by boot order, by number of workers; each sums to 1.
        cores: of the host.
        base: the costs besides, and where the search begins.
        rate: of those connections, 1/s.
    """

    def distance(costs: Costs) -> float:
        return sum(
            (ours - theirs) ** 2
            for workers, measured in shares.items()
            for ours, theirs in zip(
                predicted_shares(workers, cores, costs, rate), measured, strict=True
            )
        )

    best, least = base, distance(base)
    for step in STEPS:
        while True:
            tried = [
                replace(best, **{name: min(1.0, max(0.0, getattr(best, name) + sign * step))})
                for name in FITTED
                for sign in (1, -1)
            ]
            distances = [distance(costs) for costs in tried]
            if min(distances) >= least:
                break
            least = min(distances)
            best = tried[distances.index(least)]
    return {name: round(getattr(best, name), 6) for name in FITTED}
