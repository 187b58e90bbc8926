"""Which of the sleeping pollers wins a new connection.

::

    connect() on core A                     core A: client, W4, and whoever ran last on A
      wakes W4, W3, W2, W1   -------->
      (last registered first)               core B: W3, and whoever ran last on B
                                            the first accept() of all wins

The kernel wakes every sleeping poller, for Gunicorn uses no EPOLLEXCLUSIVE. The scheduler's trace
of real runs (``sched_waking``, ``sched_wakeup``, ``sched_switch``) shows where each goes;
kernel/sched/fair.c says why:

- The first to be woken is drawn to the client's core: `connect(2)` wakes it synchronously, that is
  as if the client were about to sleep (`wake_affine_idle`). Machines differ in that: an AMD EPYC
  had it for nearly all connections, an Intel Xeon for one of fifty (`Costs.wake_affine`).
- The next are sent to an idle core each, as long as there is one (`select_idle_sibling`). If the
  first is not drawn, it is the first of these.
- All others stay on the core where they ran last, whichever that is.

Who runs first on a core depends on what each is owed (`update_entity_lag`, `place_entity`): time
that it has waited there when it ran last, as most have at the connection before, which has woken
all of them. So has who has finished a request while others waited for its thread, which went on
with the next. Who has finished one since, with a core to itself, is owed nothing.

- If any poller on the client's core is owed time, that one preempts the client, for the client is
  not eligible then (`pick_eevdf`). Otherwise all wait until the client sleeps, 0.3 ms later.
- Of several that are owed time, those that were woken later come first more often.
- On another core the same goes for those that stay there. Who is sent there is owed nothing: what
  it is owed is forgotten if it comes to a core that idles.

Then the cores race for the accept, if any but the client's idles; otherwise all pollers stay, but
for the first, and the client's core wins. A poller that preempts the client is some 30 us ahead of
the other core, which needs an interrupt and the way out of its halt first. That decides the race
after a rest, when the other core has halted deeply and its caches are cold. Right after the rival
there has run, less often: least if the rival has accepted or finished a request since the one that
preempts has. Without preemption the other core wins, unless its interrupt is late.

A poller that has not come back from its poll since the fork has pages to copy before it can accept,
which takes a quarter of a millisecond and more: who has had the connection before is there first.

This is how it goes where client and server are in one of the scheduler's groups. Groups of their
own, such as a session each has (``kernel.sched_autogroup_enabled``), owe each other time too, and
what comes of that changes by the hour.
"""

from __future__ import annotations

from math import exp, inf, log, log1p
from random import Random
from typing import Final, TypeVar

from sim.experiment.costs import Costs

#: s after which a race is lost to another core e times less often. Of 11,000 connections of 2, 4
#: and 8 workers in the scheduler's traces, at 50 and 56 requests/s, each kind has 7 to 15 ms. Not
#: `Costs.cooling`, which is of caches and as long as the hour has it.
REST: Final = 0.01

#: How much more often than a rival that has lost the race before, one wins that has accepted since
#: the preempting poller has, or finished a request (0.54 and 0.6 to 0.68 at once, to 0.28).
WARMER: Final = 2.1

#: The same where the preempting poller has finished one since the rival ran (0.03 to 0.06).
COLDER: Final = 0.15

#: Rate per further woken poller at which the other core wins a race that it would have lost. The
#: client wakes one poller after another before the preempting one can run, and each wake-up takes
#: the same time. So the other core stays behind with a probability of ``exp(-DELAY * further)``.
#: Of 2, 4 and 8 pollers 0.01, 0.06 and 0.09 lost after rests of 30 ms and more; this has 0, 0.04
#: and 0.12.
DELAY: Final = 0.0208

#: Probability that a poller is owed time whose last turn was to finish a request, with a core to
#: itself (in the traces 0.06 to 0.25, by whether the client ran there just then), of one whose
#: thread went on with a request that waited (0.76 to 0.89), and of one that has won the connection
#: before and has yet to finish it: the first to be woken (0.45 to 0.53), or one that stays (0.2).
OWED_AFTER_FINISH: Final = 0.11
OWED_AFTER_RELAY: Final = 0.8
OWED_AFTER_ACCEPT: Final = 0.5
STAYING_OWED_AFTER_ACCEPT: Final = 0.25

#: Probability that a poller which has won the connection before, and stays, is on the client's core
#: for more than chance: the client comes from the core of the last answer. If it has finished that
#: since, alone, it is there 0.76 to 0.89 of the times, and before it has 0.57 to 0.63. If the
#: thread went on, that has the core (0.4).
STAYS_AFTER_FINISH: Final = 0.65
STAYS_AFTER_ACCEPT: Final = 0.2

#: Where the client draws nobody, it is not drawn by answers either: it connects from a core of its
#: own, where a poller that has finished a request since the last connection is so many times less
#: often than by chance (0.13 to 0.28 on one of two cores; all others 0.38 to 0.51).
APART_AFTER_FINISH: Final = 0.3

#: Probability there that a poller is owed time which has finished a request (0.29 to 0.67 on the
#: client's core, 0.2 to 0.5 on another); which has won the connection before, on another core (0.06
#: to 0.2); the first to be woken, if it has had no time since; and any other (0.73 to 0.81 on the
#: client's core). Within, or next to, what the traces have of each, these are fitted to the shares
#: of 2, 3 and 4 workers at two loads and of 2 in which requests wait: 0.02 off at most.
APART_OWED_AFTER_FINISH: Final = 0.3
APART_OWED_AFTER_ACCEPT: Final = 0.05
APART_FIRST_OWED: Final = 0.2
APART_OWED: Final = 0.9

#: `Costs.wake_overtake` there, fitted with them: with 8 workers, to 0.04 at most.
APART_OVERTAKE: Final = 0.6

#: s in which the caches of who has accepted the connection before lose so much that it is e times
#: less often ahead of a fresh poller, which has to copy pages before it can accept. Second
#: connections to 2 workers after a boot: of 56 that came 9 and 15 ms after the first 53 went to the
#: same worker, of 44 that came 30 and 60 ms after it 30 (`tests/model/test_wakeup.py` has more).
COPYING: Final = 0.035


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
    random: Random,
    *,
    idle: int,
) -> int:
    """Draw which poller wins a connection: its place in ``sleeping``.

    Args:
        sleeping: all pollers that sleep, at least one, in the order in which they are woken.
        last: place of who has won the connection before; -1 if it does not sleep.
        since: when that came, s; -inf before the first, which goes to the first poller: it has
            waited for its core as it booted, and no other has since (55 of 55 boots).
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
        here, there = 1, 0
        if pollers > 1 + elsewhere:
            here |= _stay_here(1 + elsewhere, sleeping, last, since, cores, random)
            there = (1 << pollers) - (1 << 1 + elsewhere) & ~here
        preempts = _first_owed(here, sleeping, last, since, costs, random)
        if not elsewhere:
            return max(preempts, 0)
        if preempts < 0 and random.random() < costs.wake_late:
            return 0
        # Who is ahead on another core; all those are alike.
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


def _after_copying(
    ahead: int,
    rival: int,
    sleeping: list[S],
    last: int,
    ago: float,
    random: Random,
) -> int:
    """Who accepts, where one of the two whose poll returns is fresh, and copies pages first.

    ``ago`` is when the connection before came, in s from now.
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
    random: Random,
) -> tuple[int, int]:
    """Who preempts a client that does not draw the first, and who is ahead on another core.

    The former is -1 if nobody does. ``elsewhere`` pollers are sent to a core that idles, of the
    ``others`` that could have been.
    """
    pollers = len(sleeping)
    ran_here = _bits(pollers, cores, random)
    left = ran_here
    while left:
        place = left.bit_length() - 1
        left ^= 1 << place
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
    random: Random,
) -> int:
    """Who, from the ``first`` on, stays on the client's core, as it has run there last."""
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
    random: Random,
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
    random: Random,
    apart: float = -1.0,
) -> int:
    """Who of those that are queued on a core runs first, for it is owed time; -1: nobody is.

    ``queued`` has a bit for each place in ``sleeping``. Where the client draws nobody, ``apart`` is
    the probability that who has won the connection before is owed time.
    """
    found = -1
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
            found = place
            if random.random() < overtake:
                break
    return found


def _bits(number: int, of: int, random: Random) -> int:
    """So many bits, each set with a probability of one in ``of``."""
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
