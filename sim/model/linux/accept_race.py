"""Which of the sleeping pollers wins a new connection.

::

    connect() on core A                     core A: client, W4, and pollers that ran last on A
      wakes W4, W3, W2, W1   -------->
      (last registered first)               core B: W3, and pollers that ran last on B
                                            the first accept() of all wins

Gunicorn does not use EPOLLEXCLUSIVE, so the kernel wakes every sleeping poller. Scheduler traces of
real runs (``sched_waking``, ``sched_wakeup``, ``sched_switch``) show where each poller goes, and
kernel/sched/fair.c says why:

- The first poller is drawn to the client's core: `connect(2)` wakes it synchronously, as if the
  client were about to sleep (`wake_affine_idle`). Machines differ. An AMD EPYC drew it for nearly
  all connections, an Intel Xeon for one of fifty (`Costs.wake_affine`).
- Each of the next pollers is sent to an idle core, until none is left (`select_idle_sibling`). A
  first poller that is not drawn is sent to one too.
- All other pollers stay on the core where they ran last.

Which poller runs first on a core depends on the lag of each, the time that the scheduler owes it
(`update_entity_lag`, `place_entity`).

- Most pollers are owed time: the previous connection woke them, and they waited for the core.
- A worker is owed time if it finished a request while others waited for its thread, which went on
  with the next request.
- A worker is owed nothing if it has finished a request since, with a core to itself.
- A poller that is sent to an idle core is owed nothing: the scheduler forgets its lag.

A poller that is owed time on the client's core preempts the client, which is not eligible then
(`pick_eevdf`). If there is none, all wait until the client sleeps, 0.3 ms later. Of several that
are owed time, those that were woken later run first more often.

Then the cores race for the accept, if another core than the client's idles. Otherwise all pollers
but the first stay, and the client's core wins. The other core needs an interrupt and has to leave
its halt. So a poller that preempts the client is about 30 us ahead.

- After a rest, it wins: the other core has halted deeply, and its caches are cold.
- It wins less often right after the rival on the other core has run. It wins least often if the
  rival has accepted, or finished a request, later than the poller itself.
- If no poller preempts the client, the other core wins, unless its interrupt is late.

A poller that has not run since the fork copies pages before it can accept. That takes 0.25 ms and
more, so the worker of the previous connection is often there first.

All of this holds where client and server are in one scheduling group. Separate groups, such as
one for each session (``kernel.sched_autogroup_enabled``), owe each other time too. The effect of
that changes by the hour.

A second connection may come before the client has slept. The pollers are still on their way then,
and the worker of the first connection is awake. Where no core idles, that worker is often back at
its poll before any other runs (`before_winner`).
"""

from __future__ import annotations

from math import exp, log, log1p
from typing import TypeVar

from sim.experiment.costs import Costs
from sim.model.engine.chance import Chance
from sim.model.engine.infinity import inf
from sim.model.fitted.accept_race import (
    APART_AFTER_FINISH,
    APART_FIRST_OWED,
    APART_OVERTAKE,
    APART_OWED,
    APART_OWED_AFTER_ACCEPT,
    APART_OWED_AFTER_FINISH,
    BEFORE_WINNER,
    COLDER,
    COPYING,
    DELAY,
    OWED_AFTER_ACCEPT,
    OWED_AFTER_FINISH,
    OWED_AFTER_RELAY,
    REST,
    STAYING_OWED_AFTER_ACCEPT,
    STAYS_AFTER_ACCEPT,
    STAYS_AFTER_FINISH,
    WARMER,
)


class Sleeper:
    """A poller, as far as the race depends on it.

    State:
        finished_at: when it last finished a request, or took one from a kept connection, s.
        alone: whether none waited for that request's thread then, so that it had a core to itself.
        fresh: whether its poll has not returned since the fork.
    """

    __slots__ = ("alone", "finished_at", "fresh")

    def __init__(self) -> None:
        self.finished_at = -inf
        self.alone = False
        self.fresh = True


S = TypeVar("S", bound=Sleeper)


class RaceCosts:
    """The part of `Costs` that a race depends on, under the same names; see `StepCosts`."""

    __slots__ = (
        "wake_affine",
        "wake_first",
        "wake_late",
        "wake_overtake",
        "wake_owed",
        "wake_warm",
    )

    def __init__(self, costs: Costs) -> None:
        self.wake_affine = costs.wake_affine
        self.wake_late = costs.wake_late
        self.wake_first = costs.wake_first
        self.wake_owed = costs.wake_owed
        self.wake_overtake = costs.wake_overtake
        self.wake_warm = costs.wake_warm


def winner(
    sleeping: list[S],
    last: int,
    since: float,
    now: float,
    cores: int,
    costs: RaceCosts,
    random: Chance,
    *,
    idle: int,
) -> int:
    """Draw which poller wins a connection: its place in ``sleeping``.

    Args:
        sleeping: all pollers that sleep, at least one, in the order in which they are woken.
        last: place of the winner of the previous connection; -1 if it does not sleep.
        since: when that came, s; -inf before the first, which goes to the first poller (55 of 55
            boots): it waited for its core as it booted, and no other has since.
        now: when this one comes, s.
        cores: of the host.
        costs: its ``wake_*`` values.
        random: where chance comes from.
        idle: cores that idle besides the client's; 1 if none does but one will before the client
            sleeps.
    """
    if since == -inf:
        return 0
    pollers = len(sleeping)
    others = min(cores, pollers) - 1
    elsewhere = min(idle, others)
    if elsewhere and random.random() >= costs.wake_affine:
        preempts, rival = _first_apart(
            sleeping, elsewhere, others, last, since, cores, costs, random
        )
    else:
        # Bit k: whether the k-th to be woken stays on the client's core, or on another.
        if not elsewhere:
            return max(preempting(sleeping, last, since, cores, costs, random), 0)
        here, there = 1, 0
        if pollers > 1 + elsewhere:
            here |= _stay_here(1 + elsewhere, sleeping, last, since, cores, random)
            there = (1 << pollers) - (1 << 1 + elsewhere) & ~here
        preempts = _first_owed(here, sleeping, last, since, costs, random)
        if preempts < 0 and random.random() < costs.wake_late:
            return 0
        # The poller that is ahead on another core; all those are alike.
        rival = 1
        if elsewhere > 1:
            rival += int(random.random() * elsewhere)
        if others > 1 and there:
            # Pollers that stay are on the other cores by chance, whether those idle or not.
            there &= _bits(pollers, others, random)
        if there:
            owed = _first_owed(there, sleeping, last, since, costs, random)
            if owed >= 0:
                rival = owed
    overtaken = preempts < 0 or _overtaken(
        preempts, rival, sleeping, last, since, now, costs, random
    )
    ahead = rival if overtaken else preempts
    if sleeping[ahead].fresh or sleeping[rival].fresh:
        return _after_copying(ahead, rival, sleeping, last, since - now, random)
    return ahead


def preempting(
    sleeping: list[S],
    last: int,
    since: float,
    cores: int,
    costs: RaceCosts,
    random: Chance,
) -> int:
    """Draw which poller preempts the client where no other core idles; -1: none does.

    Args:
        sleeping: all pollers that sleep, at least one, in the order in which they are woken.
        last: place of the winner of the previous connection; -1 if it does not sleep.
        since: when that came, s.
        cores: of the host.
        costs: its ``wake_*`` values.
        random: where chance comes from.
    """
    here = 1
    if len(sleeping) > 1:
        here |= _stay_here(1, sleeping, last, since, cores, random)
    return _first_owed(here, sleeping, last, since, costs, random)


def before_winner(pollers: int, last: int, random: Chance, *, drawn: bool) -> int:
    """Draw the poller that accepts before the winner of the previous connection; -1: none does.

    No core idles. The client has not slept since that connection, which has woken all pollers:
    those on the client's core wait for it, the others for the winner's core.

    Args:
        pollers: number of sleeping pollers.
        last: place of that winner; -1 if it is awake.
        random: where chance comes from.
        drawn: whether the client has drawn the first of them to its core.
    """
    for place in range(int(drawn), pollers):
        if place != last and random.random() < BEFORE_WINNER:
            return place
    return -1


def _after_copying(
    ahead: int,
    rival: int,
    sleeping: list[S],
    last: int,
    ago: float,
    random: Chance,
) -> int:
    """Place of the poller that accepts, where one of the two copies pages first: it is fresh.

    ``ago`` is when the previous connection came, in s from now.
    """
    late = sleeping[ahead].fresh and last >= 0 and random.random() < exp(ago / COPYING)
    for place in (ahead, rival):
        sleeping[place].fresh = False
    return last if late else ahead


def _first_apart(
    sleeping: list[S],
    elsewhere: int,
    others: int,
    last: int,
    since: float,
    cores: int,
    costs: RaceCosts,
    random: Chance,
) -> tuple[int, int]:
    """Places of the poller that preempts a client without affine wake-ups, and of its rival.

    The first is -1 if none does. The rival is ahead on another core. ``elsewhere`` pollers are sent
    to an idle core; ``others`` would be if all other cores idled.
    """
    pollers = len(sleeping)
    ran_here = _bits(pollers, cores, random)
    unchecked = ran_here
    while unchecked:
        place = unchecked.bit_length() - 1
        unchecked ^= 1 << place
        if sleeping[place].finished_at > since and random.random() >= APART_AFTER_FINISH:
            ran_here ^= 1 << place
    sent = (1 << elsewhere) - 1
    # Those that are sent keep what they are owed, if they need not change their core for it.
    there = (1 << pollers) - 1 & ~ran_here
    rival = 0
    if elsewhere > 1:
        rival = int(random.random() * elsewhere)
    if others > 1:
        there &= _bits(pollers, others, random)
    owed = _first_owed(there, sleeping, last, since, costs, random, APART_OWED_AFTER_ACCEPT)
    if owed >= 0:
        rival = owed
    here = ran_here & ~sent
    return _first_owed(here, sleeping, last, since, costs, random, APART_OWED), rival


def _stay_here(
    first: int,
    sleeping: list[S],
    last: int,
    since: float,
    cores: int,
    random: Chance,
) -> int:
    """Bits of the pollers, from the ``first`` on, that ran on the client's core and stay there."""
    here = _bits(len(sleeping) - first, cores, random) << first
    if last >= first:
        poller = sleeping[last]
        stays = STAYS_AFTER_ACCEPT
        if poller.finished_at > since:
            stays = STAYS_AFTER_FINISH if poller.alone else 0.0
        if random.random() < stays:
            here |= 1 << last
    return here


def _overtaken(
    preempts: int,
    rival: int,
    sleeping: list[S],
    last: int,
    since: float,
    now: float,
    costs: RaceCosts,
    random: Chance,
) -> bool:
    """Whether a rival on another core accepts before the poller that preempts the client."""
    theirs, ours = sleeping[rival].finished_at, sleeping[preempts].finished_at
    ran = max(theirs, since)
    chance = (1 - costs.wake_warm) * exp((ran - now) / REST)
    if ours > ran:
        chance *= COLDER
    elif theirs > since or rival == last:
        chance *= WARMER
    further = len(sleeping) - 2
    if further:
        chance = 1.0 - (1.0 - min(chance, 1.0)) * exp(-DELAY * further)
    return random.random() < chance


def _first_owed(
    queued: int,
    sleeping: list[S],
    last: int,
    since: float,
    costs: RaceCosts,
    random: Chance,
    apart: float = -1.0,
) -> int:
    """Place of the poller that runs first on a core, as it is owed time; -1: none is.

    ``queued`` has a bit for each place in ``sleeping``. On machines without affine wake-ups
    ``apart`` is the probability that the winner of the previous connection is owed time.
    """
    first = -1
    overtake = costs.wake_overtake if apart < 0 else APART_OVERTAKE
    while queued:
        place = queued.bit_length() - 1
        queued ^= 1 << place
        poller = sleeping[place]
        if poller.finished_at > since:
            if not poller.alone:
                owed = OWED_AFTER_RELAY
            else:
                owed = OWED_AFTER_FINISH if apart < 0 else APART_OWED_AFTER_FINISH
        elif apart >= 0:
            owed = apart if place == last else APART_OWED if place else APART_FIRST_OWED
        elif place == last:
            owed = STAYING_OWED_AFTER_ACCEPT if place else OWED_AFTER_ACCEPT
        else:
            owed = costs.wake_owed if place else costs.wake_first
        if random.random() < owed:
            first = place
            if random.random() < overtake:
                break
    return first


def _bits(number: int, of: int, random: Chance) -> int:
    """A ``number`` of bits, each set with a probability of one in ``of``."""
    if of == 1:
        return (1 << number) - 1
    if of == 2:
        return random.getrandbits(number)
    # From each that is set straight to the next: few are, where there are hundreds.
    bits, place, log_unset = 0, -1, log1p(-1 / of)
    while True:
        place += 1 + int(log(1 - random.random()) / log_unset)
        if place >= number:
            return bits
        bits |= 1 << place
