"""Which of the sleeping pollers wins a new connection.

::

    connect() on core A                     core A: client, W4, and whoever ran last on A
      wakes W4, W3, W2, W1   -------->
      (last registered first)               core B: W3, and whoever ran last on B
                                            the first accept() of all wins

The kernel wakes every sleeping poller, for Gunicorn uses no EPOLLEXCLUSIVE. The scheduler's trace
of real runs (``perf sched``) shows where each goes; kernel/sched/fair.c says why:

- The first to be woken is sent to the client's core: `connect(2)` wakes it synchronously, that is
  as if the client were about to sleep (`wake_affine_idle`).
- The next are sent to an idle core each, as long as there is one (`select_idle_sibling`).
- All others stay on the core where they ran last, whichever that is.

Then each core runs the head of its queue. One that stays overtakes the head with a certain
probability: it has slept for longer than its share (`place_entity`). The cores race for the
accept. On the client's the head preempts the client, which it hardly ever fails to if more than
one are queued there, and often if it is alone; otherwise the client runs on until it sleeps, and
the other core wins. A head that preempts is some 30 us ahead of the other core, which needs an
interrupt and the way out of its halt first. That nearly always decides the race after a rest, when
all that is to run is cold and the client's core the least so; right after another connection it is
little better than a coin.
"""

from __future__ import annotations

from itertools import accumulate
from math import sqrt

from sim.costs import Costs

#: s after which the machine has come half-way to rest, for a race between cores. The scheduler's
#: traces have 6 to 12 ms. Not `Costs.cooling`, which is of caches and as long as the hour has it.
HALF_REST = 0.009

#: Part of `Costs.wake_overtake` that the last to be woken has: the others are on their way by then.
#: Fitted to the shares of 3, 4 and 8 workers at 10 to 150 requests/s: without it the worker that
#: registered first has 0.03 more than it should, and the next 0.02 less.
LAST_OVERTAKES = 0.85


def rested(gap: float, mean: float) -> float:
    """How far the machine has come to rest before a connection, from 0 to 1.

    It goes with the geometric mean of both: of 5000 connections in the scheduler's traces at 10 to
    150 requests/s, the gap alone tells less (by 23 of log-likelihood), and the running mean least.

    Args:
        gap: since the connection before, s.
        mean: running mean of such gaps, s.
    """
    both = sqrt(gap * mean)
    return both / (both + HALF_REST)


def winning_probabilities(
    pollers: int, cores: int, costs: Costs, *, rest: float
) -> tuple[float, ...]:
    """Cumulative probability that the k-th poller to be woken wins, by k from 0.

    Args:
        pollers: how many sleep, at least 1.
        cores: of the host.
        costs: its ``wake_*`` values.
        rest: see `rested`.
    """
    elsewhere = min(cores, pollers) - 1
    staying = pollers - 1 - elsewhere
    alone = (1 - 1 / cores) ** staying
    head = _heads(staying, costs.wake_overtake / cores)
    local_alone, local_queued = costs.wake_alone, costs.wake_queued
    if elsewhere:
        ahead = rest + costs.wake_warm * (1 - rest)
        local_alone, local_queued = local_alone * ahead, local_queued * ahead
    else:
        local_alone = local_queued = 1.0
    won = [0.0] * pollers
    # On the client's core, whoever heads its queue; that nobody stays there is a case apart.
    won[0] = alone * local_alone + (head[0] - alone) * local_queued
    for k in range(staying):
        won[1 + elsewhere + k] = head[1 + k] * local_queued
    # On the others; if nobody stays on the client's core, they have more that stay.
    lost_alone, lost_queued = alone * (1 - local_alone), (1 - alone) * (1 - local_queued)
    for lost, share in ((lost_alone, 1 / max(elsewhere, 1)), (lost_queued, 1 / cores)):
        there = _heads(staying, costs.wake_overtake * share)
        for core in range(elsewhere):
            won[1 + core] += lost / elsewhere * there[0]
            for k in range(staying):
                won[1 + elsewhere + k] += lost / elsewhere * there[1 + k]
    return tuple(accumulate(won))


def _heads(staying: int, overtake: float) -> list[float]:
    """Probability of each poller to head one core's queue: the one sent there, then the others.

    Args:
        staying: pollers that stay on the core where they ran last, whichever it is.
        overtake: probability that one of them is on this core and overtakes its head.
    """
    heads = [1.0]
    for k in range(staying):
        # Each that stays takes its part of what all before it had.
        part = overtake * LAST_OVERTAKES if k == staying - 1 else overtake
        heads = [*(head * (1 - part) for head in heads), part]
    return heads
