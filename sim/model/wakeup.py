"""Which of the sleeping pollers wins a new connection.

::

    connect() on core A                     core A: client, W4, and whoever ran last on A
      wakes W4, W3, W2, W1   -------->
      (last registered first)               core B: W3, and whoever ran last on B
                                            the first accept() of all wins

The kernel wakes every sleeping poller, for Gunicorn uses no EPOLLEXCLUSIVE. The scheduler's trace
of real runs (``sched_waking``, ``sched_wakeup``, ``sched_switch``) shows where each goes;
kernel/sched/fair.c says why:

- The first to be woken is sent to the client's core: `connect(2)` wakes it synchronously, that is
  as if the client were about to sleep (`wake_affine_idle`).
- The next are sent to an idle core each, as long as there is one (`select_idle_sibling`).
- All others stay on the core where they ran last, whichever that is.

Who runs first on a core depends on what each is owed (`update_entity_lag`, `place_entity`): time
that it has waited there when it ran last, as most have at the connection before, which has woken
all of them. Who has finished a request since, with a core to itself, is owed nothing.

- If any poller on the client's core is owed time, that one preempts the client, for the client is
  not eligible then (`pick_eevdf`). Otherwise all wait until the client sleeps, 0.3 ms later.
- Of several that are owed time, those that were woken later come first more often.
- On another core the same goes for those that stay there. Who is sent there is owed nothing: what
  it is owed is forgotten if it comes to a core that idles.

Then the cores race for the accept, if any but the client's idles; otherwise all pollers stay, but
for the first, and the client's core wins. A poller that preempts the client is some 30 us ahead of
the other core, which needs an interrupt and the way out of its halt first. That nearly always
decides the race after a rest, when all that is to run is cold and the client's core the least so;
right after another connection less often. Without preemption the other core wins, unless its
interrupt is late.

This is how it goes where client and server are in one of the scheduler's groups. Groups of their
own, such as a session each has (``kernel.sched_autogroup_enabled``), owe each other time too, and
what comes of that changes by the hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from random import Random
from typing import Final

from sim.costs import Costs

#: s after which the machine has come half-way to rest, for a race between cores. The scheduler's
#: traces have 6 to 12 ms. Not `Costs.cooling`, which is of caches and as long as the hour has it.
HALF_REST: Final = 0.009

#: Probability that a poller is owed time whose last turn was to finish a request, with a core to
#: itself (in the traces 0.02 to 0.4, by whether the client ran there just then), and of one that
#: has won the connection before and has yet to finish it (0.36 to 0.57).
OWED_AFTER_FINISH: Final = 0.12
OWED_AFTER_ACCEPT: Final = 0.5

#: Probability that a poller which has won the connection before, and stays, is on the client's core
#: for more than chance: the client comes from the core of the last answer. If it has finished that
#: since, it is there 0.82 to 0.87 of the times, otherwise 0.62 to 0.68.
STAYS_AFTER_FINISH: Final = 0.65
STAYS_AFTER_ACCEPT: Final = 0.3


class Sleeper:
    """A poller, as far as the race depends on it.

    State: ``alone_at`` (when it last finished a request with a core to itself, s).
    """

    __slots__ = ("alone_at",)

    def __init__(self) -> None:
        self.alone_at = -inf


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


def winner(
    sleeping: Sequence[tuple[int, Sleeper]],
    last: int,
    since: float,
    cores: int,
    costs: Costs,
    rest: float | None,
    random: Random,
) -> int:
    """Draw which poller wins a connection: its place in ``sleeping``.

    Args:
        sleeping: all pollers that sleep, at least one, in the order in which they are woken; each
            with its key in that order.
        last: place of who has won the connection before; -1 if it does not sleep.
        since: when that came, s; -inf before the first, which goes to the first poller: it has
            waited for its core as it booted, and no other has since (55 of 55 boots).
        cores: of the host.
        costs: its ``wake_*`` values.
        rest: see `rested`; None where all other cores are busy for longer than the client is.
        random: where chance comes from.
    """
    if since == -inf:
        return 0
    pollers = len(sleeping)
    elsewhere = 0 if rest is None else min(cores, pollers) - 1
    staying = pollers - 1 - elsewhere
    # Bit k: whether the k-th to be woken is on the client's core.
    here = 1 | _bits(staying, cores, random) << 1 + elsewhere if staying else 1
    if last > elsewhere:
        finished = sleeping[last][1].alone_at > since
        if random.random() < (STAYS_AFTER_FINISH if finished else STAYS_AFTER_ACCEPT):
            here |= 1 << last
    preempts = _first_owed(here, sleeping, last, since, costs, random)
    if rest is None or not elsewhere:
        return max(preempts, 0)
    if preempts >= 0:
        if random.random() < rest + costs.wake_warm * (1 - rest):
            return preempts
    elif random.random() < costs.wake_late:
        return 0
    # Another core wins, all of which are alike.
    head = 1
    there = (1 << pollers) - (1 << 1 + elsewhere) & ~here
    if elsewhere > 1:
        head += int(random.random() * elsewhere)
        if there:
            there &= _bits(pollers, elsewhere, random)
    owed = _first_owed(there, sleeping, last, since, costs, random)
    return head if owed < 0 else owed


def _first_owed(
    queued: int,
    sleeping: Sequence[tuple[int, Sleeper]],
    last: int,
    since: float,
    costs: Costs,
    random: Random,
) -> int:
    """Who of those that are queued on a core runs first, for it is owed time; -1: nobody is.

    ``queued`` has a bit for each place in ``sleeping``.
    """
    found = -1
    while queued:
        place = queued.bit_length() - 1
        queued ^= 1 << place
        if sleeping[place][1].alone_at > since:
            owed = OWED_AFTER_FINISH
        elif place == last:
            owed = OWED_AFTER_ACCEPT
        else:
            owed = costs.wake_owed if place else costs.wake_first
        if random.random() < owed:
            found = place
            if random.random() < costs.wake_overtake:
                break
    return found


def _bits(number: int, of: int, random: Random) -> int:
    """So many bits, each set with a probability of one in ``of``."""
    if of == 1:
        return (1 << number) - 1
    if of == 2:
        return random.getrandbits(number)
    return sum(1 << bit for bit in range(number) if random.random() * of < 1)
