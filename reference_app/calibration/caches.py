"""How much of a request's CPU the caches save on this machine, and for how long.

Gaps between requests are of all sizes: as many are from 1 to 2 ms as from 10 to 20 ms. Which of two
workers accepts is random. So within the same seconds a worker's request follows one of its own, one
of the other worker's, or a long rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from math import exp, inf, log
from random import Random
from statistics import median

from sim.experiment import Server, TraceRow, Traffic

#: Two workers, each with a thread for every request.
SERVER = Server(workers=2, threads=4, worker_class="gthread", preload_app=True)

#: Requests, and how many of the first ones only warm the caches up.
REQUESTS = 300
WARM_UP = 10

#: s between two requests, at least and at most.
SHORTEST, LONGEST = 0.0002, 0.045

#: Time (s) that each request sleeps.
IO = 0.005

#: Gap (s) after which nothing of a request is cached.
COLD = 0.016

#: What a step costs after many of its kind, as a part of what it costs after one, as the model has
#: it. It has a number of its own, for the rig reads nothing of the model's; a test compares them.
HOT = 0.4

#: Candidates for `Costs.cached` and `Costs.cached_elsewhere`, and for `Costs.eviction`, s.
_PARTS = tuple(number / 20 for number in range(21))
_EVICTIONS = tuple(0.001 * 1.2**number for number in range(20))


@dataclass(frozen=True, slots=True)
class Handled:
    """A request, and the gaps before it.

    Attributes:
        worker: number of the worker, from 0.
        own: time since the worker's last request began, s; infinity for none.
        any: time since any worker's last request began, s.
        cpu: CPU of the thread that handled it, s.
    """

    worker: int
    own: float
    any: float
    cpu: float


def traffic() -> Traffic:
    """Requests that only sleep."""
    random, now, rows = Random(1), 0.0, []
    for _ in range(REQUESTS):
        now += exp(random.uniform(log(SHORTEST), log(LONGEST)))
        rows.append(TraceRow(now, IO, 0.0))
    return Traffic(arrivals="trace", trace=tuple(rows))


def fit(workers: Iterable[Sequence[tuple[float, float]]]) -> dict[str, float]:
    """`Costs.cached`, `Costs.cached_elsewhere` and `Costs.eviction`.

    They minimize the sum of the absolute differences between modelled and measured parts of the
    cold CPU.

    Args:
        workers: for each worker, the begin and the CPU of each request, s, in order.

    Raises:
        ValueError: when no request came after a rest.
    """
    handled = [request for request in requests_of(workers) if request.own < inf]
    cold = median(request.cpu for request in handled if request.any > COLD)

    best = (inf, 0.0, 0.0, 0.0)
    for eviction in _EVICTIONS:
        # As in `CachedPace`. What does not depend on the other costs is computed once: the saved
        # part of each request, and how much of the caches' saving remains after each gap.
        saved = [1 - request.cpu / cold for request in handled]
        others = [exp(-request.any / eviction) for request in handled]
        for cached in _PARTS:
            own = list(_own_savings(handled, cached, eviction))
            for elsewhere in _PARTS:
                if cached <= elsewhere:
                    other = 1 - elsewhere
                    distance = sum(
                        abs(seen - max(mine, other * any_))
                        for seen, mine, any_ in zip(saved, own, others, strict=True)
                    )
                    best = min(best, (distance, cached, elsewhere, eviction))
    return dict(zip(("cached", "cached_elsewhere", "eviction"), best[1:], strict=True))


def _own_savings(handled: Sequence[Handled], cached: float, eviction: float) -> Iterator[float]:
    """What each request saves by those of its own worker, as a part of what it costs cold."""
    most = 1 - HOT * cached
    gain = (1 - cached) / most
    warmth: dict[int, float] = {}
    for request in handled:
        left = warmth.get(request.worker, 0.0) * exp(-request.own / eviction)
        warmth[request.worker] = left + gain * (1 - left)
        yield most * left


def requests_of(workers: Iterable[Sequence[tuple[float, float]]]) -> list[Handled]:
    """All requests but the first ones, in order."""
    lasts: dict[int, float] = {}
    last, handled = -inf, []
    of_each = ([(began, number, cpu) for began, cpu in rows] for number, rows in enumerate(workers))
    for began, number, cpu in merge(*of_each):
        handled.append(Handled(number, began - lasts.get(number, -inf), began - last, cpu))
        lasts[number] = last = began
    return handled[WARM_UP:]


def part(own: float, any_: float, cached: float, elsewhere: float, eviction: float) -> float:
    """What a step costs after one other, as a part of what it costs cold; see `CachedPace`.

    Args:
        own: s since the same of another request in this worker.
        any_: s since the same in any worker.
        cached: see `Costs.cached`; so for the other two.
        elsewhere: `Costs.cached_elsewhere`.
        eviction: `Costs.eviction`, s.
    """
    saved = (1 - cached) * exp(-own / eviction)
    return 1 - max(saved, (1 - elsewhere) * exp(-any_ / eviction))


def own_part(idle: float, costs: Mapping[str, float]) -> float:
    """What a step of a lone worker costs after ``idle`` s, as a part of what it costs cold."""
    return part(idle, idle, costs["cached"], costs["cached_elsewhere"], costs["eviction"])
