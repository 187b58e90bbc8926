"""What a host's shares of the accepts say about its scheduler: `accept_race`, backwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from operator import itemgetter
from random import Random

from sim.experiment.accept_load import Load
from sim.experiment.costs import Costs
from sim.model.engine.chance import Chance
from sim.model.linux.accept_race import RaceCosts, Sleeper, winner

#: What `Costs.wake_affine` may be: machines have nearly always the one, or nearly always the other.
AFFINE = (0.94, 0.02)

#: Those besides that change with the machine and the hour: how fast an idle core runs a thread. The
#: others were the same in all of the scheduler's traces.
FITTED = ("wake_late", "wake_warm")

#: Sizes of the search's steps, one after the other.
STEPS = (0.2, 0.1, 0.05, 0.02)

#: Connections that are drawn to predict shares, at least: chance moves them by 0.01 then.
CONNECTIONS = 6_000

#: s that a request has its thread besides its I/O: `Costs.request`, `respond` and `timer_slack`.
OVERHEAD = 0.0015


class _Worker:
    """A worker, as far as it matters which worker accepts.

    Constants: ``poller``, what the race knows of it. A class under that would be shorter, but the
    compiled model's have none.

    State: ``busy`` threads, and the ``queue`` of the I/O of requests that wait for one, s.
    """

    __slots__ = ("busy", "poller", "queue")

    def __init__(self) -> None:
        self.poller = Sleeper()
        self.busy = 0
        self.queue: deque[float] = deque()


def predicted_shares(load: Load, cores: int, costs: Costs) -> tuple[float, ...]:
    """Share of the connections of each worker, by boot order, where all of them always sleep.

    Args:
        load: what comes, and to whom.
        cores: of the host, all of them idle when a connection comes.
        costs: its ``wake_*``.
    """
    random = Random(1)
    accepted = [0] * load.workers
    runs = -(-CONNECTIONS // load.requests)
    for _ in range(runs):
        for place in _winners(load, cores, RaceCosts(costs), random):
            # The worker that registered last is woken first.
            accepted[load.workers - 1 - place] += 1
    return tuple(number / (runs * load.requests) for number in accepted)


def _winners(load: Load, cores: int, costs: RaceCosts, random: Random) -> Iterator[int]:
    """The place of each connection's worker, in the order in which they are woken."""
    workers = [_Worker() for _ in range(load.workers)]
    chance = Chance(random)
    sleeping = [worker.poller for worker in workers]
    service = load.io.sampler(random)
    served: list[tuple[float, int]] = []
    now, since, last = 0.0, -1.0, -1
    for _ in range(load.requests):
        now += random.expovariate(load.rate)
        while served and served[0][0] <= now:
            finished_at, place = heappop(served)
            worker = workers[place]
            worker.poller.finished_at, worker.poller.alone = finished_at, not worker.queue
            if worker.queue:
                heappush(served, (finished_at + worker.queue.popleft(), place))
            else:
                worker.busy -= 1
        last = winner(sleeping, last, since, now, cores, costs, chance, idle=cores)
        since, worker = now, workers[last]
        worker.poller.fresh = False
        seconds = service() + OVERHEAD
        if worker.busy < load.threads:
            worker.busy += 1
            heappush(served, (now + seconds, last))
        else:
            worker.queue.append(seconds)
        yield last


def fit(measured: Mapping[Load, Sequence[float]], cores: int, base: Costs) -> dict[str, float]:
    """`Costs.wake_affine` and the `FITTED` costs: those whose shares are next to measured ones.

    That is, the sum of the squared differences is the least.

    Args:
        measured: shares by boot order of each load; each sums to 1.
        cores: of the host.
        base: the costs besides, and where the search begins.
    """

    def distance(costs: Costs) -> float:
        return sum(
            (predicted_share - measured_share) ** 2
            for load, shares in measured.items()
            for predicted_share, measured_share in zip(
                predicted_shares(load, cores, costs), shares, strict=True
            )
        )

    def nearest(affine: float) -> tuple[float, Costs]:
        best = replace(base, wake_affine=affine)
        least = distance(best)
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
        return least, best

    _, best = min(map(nearest, AFFINE), key=itemgetter(0))
    return {name: round(getattr(best, name), 6) for name in ("wake_affine", *FITTED)}


def fitted(measured: Costs, shares: Mapping[Load, Sequence[float]], cores: int) -> Costs:
    """All costs of a host: those that were ``measured``, and what its shares say of the race.

    Args:
        measured: every cost but those of the race.
        shares: of the accepts by boot order, by load.
        cores: of the machine.
    """
    return replace(measured, **fit(shares, cores, measured))
