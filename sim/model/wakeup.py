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
accept. The client's core loses time until the client sleeps or is preempted, and one that stays
preempts it; an idle core loses time until it has come out of its halt. If it was busy
just before it has not halted yet, and wins; and who stays is more likely there. Accepting and
beginning a request make it busy; an answer does not, for it wakes the client where the answer was
made, and that core is the client's.
"""

from __future__ import annotations

from itertools import accumulate

from sim.costs import Costs

#: Probability that one that stays is on a core which is awake: it is awake for what ran there last.
#: With 4 workers at 40 and 110 requests/s, the first two to register get more than they would if
#: they were as likely on the other (which is 1 / cores), the third less.
STAYING_AWAKE = 0.6


def winning_probabilities(
    pollers: int, cores: int, costs: Costs, *, halted: bool
) -> tuple[float, ...]:
    """Cumulative probability that the k-th poller to be woken wins, by k from 0.

    Args:
        pollers: how many sleep, at least 1.
        cores: of the host.
        costs: its ``wake_*`` values.
        halted: whether the idle cores have halted.
    """
    elsewhere = min(cores, pollers) - 1
    staying = pollers - 1 - elsewhere
    alone = (1 - 1 / cores) ** staying
    head = _heads(staying, costs.wake_overtake / cores)
    local_alone, local_queued = costs.wake_alone, costs.wake_queued
    if not elsewhere:
        local_alone = local_queued = 1.0
    elif not halted:
        local_alone = local_queued = 0.0
    won = [0.0] * pollers
    # On the client's core, whoever heads its queue; that nobody stays there is a case apart.
    won[0] = alone * local_alone + (head[0] - alone) * local_queued
    for k in range(staying):
        won[1 + elsewhere + k] = head[1 + k] * local_queued
    # On the others; if nobody stays on the client's core, they have more that stay.
    lost_alone, lost_queued = alone * (1 - local_alone), (1 - alone) * (1 - local_queued)
    for lost, share in (
        (lost_alone, 1 / max(elsewhere, 1)),
        (lost_queued, 1 / cores if halted else STAYING_AWAKE),
    ):
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
    # Each that stays takes its part of what all before it had.
    head, heads = 1.0, [overtake]
    for _ in range(staying):
        head *= 1 - overtake
        heads.append(heads[-1] * (1 - overtake))
    return [head, *reversed(heads[:staying])]
