"""Who computes: the host's cores, and inside each process the holder of the GIL.

::

    thread --compute(s)--> Gil: one thread of a process --> Cores: so many processes

A computation that nobody waits for runs through in one event. When another thread of the
process waits, the holder drops the GIL after CPython's switch interval; when another process
waits for a core, the kernel takes the core away after a time slice, or at once for one that needs
it for a moment only: the load generator, a main thread. One that computes for long has had more
than its share before it slept, and waits for the slice.

Two threads that compute pass the GIL to each other: the one that has lost it asks for it, so it is
awake when the other drops it, while a third one must wake up first and mostly comes too late.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from heapq import heappush
from random import Random
from typing import Any

from simpy.events import NORMAL

from sim.model.clock import Clock

#: s that a thread keeps the GIL while another one waits for it: `sys.getswitchinterval()`.
SWITCH_INTERVAL = 0.005

#: s for which a thread may hold the GIL without the others' taking notice: about what they need to
#: wake up. Gunicorn's own steps take less, an application that computes takes more.
SOON = 0.001

#: Probability that the thread which asks for the GIL takes it before one that is woken up for it,
#: of each of those. Fitted, with those of `sim.model.gthread`, to how long requests take to start
#: beside 2, 3 and 5 threads that compute: they get it after 4 to 7 switches.
STEALS = 0.78

#: s of a tick, at CONFIG_HZ=250.
TICK = 0.004

#: s that a process keeps a core while another that has computed too waits for one: EEVDF's slice of
#: 2.8 ms (kernel/sched/fair.c, ``sysctl_sched_base_slice``) is over at the first tick after it, and
#: the other's turn begins at the second. Fitted to closed loops that compute without a pause.
TIME_SLICE = 2 * TICK

#: s up to which a computation is a turn that no interval cuts.
SHORT = 0.004

#: s for which a process has a core at least, whoever else wakes up (``RUN_TO_PARITY``).
PROTECTED = 0.001

#: s after which an idle core runs a thread that waits for another core.
PULL = 0.00005

#: s by which the clock may stop short of a time that was added up: floats.
ROUNDING = 1e-9

Then = Callable[[Any], None]

#: s left, what to call with which argument once they are over, and whether the thread has lost the
#: GIL or the core by force since it woke up.
Work = tuple[float, Then, Any, bool]


def _nothing(_: object) -> None:
    """Holds the GIL while its thread decides whether to go on."""


_DONE: Work = (0.0, _nothing, None, False)

#: Holds the GIL of a process that does not run: SIGSTOP has stopped it, or it has ended.
_NOBODY: Work = (0.0, _nothing, None, False)


class Cores:
    """The host's processors.

    Constants: ``number``, ``others`` (processors that are not the client's while it connects).

    State:
        free: processors without a process.
        last_begun: when a process last accepted or began a request, s; see `sim.model.wakeup`.
        processes: all of them; those whose turn is not over have a processor.
        woken: processes that have slept and have none; they come before those in ``waiting``.
        waiting: processes that could compute and have none; first come, first served.
        late: threads that were woken up for their GIL, and have computed too much to get a core at
            once; each with its process.
        longest: when the last of the turns is over that are longer than `SHORT`, s.
    """

    __slots__ = (
        "free",
        "last_begun",
        "late",
        "longest",
        "number",
        "others",
        "processes",
        "waiting",
        "woken",
    )

    def __init__(self, number: int, others: int) -> None:
        self.number = number
        self.others = others
        self.free = number
        self.last_begun = -math.inf
        self.longest = -math.inf
        self.processes: list[Gil] = []
        self.waiting: deque[Gil] = deque()
        self.woken: deque[Gil] = deque()
        self.late: list[tuple[Gil, Work]] = []

    def idle_for(self, now: float) -> float:
        """How long the others, if they idle, have not accepted or begun a request, s.

        Infinite where one of them is busy: whoever is woken up there has to wait, as for a halt.
        """
        return now - self.last_begun if self.free >= self.others else math.inf

    def taken_for_long(self, process: Gil) -> bool:
        """Whether others than ``process`` compute on all other cores, and not for a moment only.

        Where there is no other core, what runs next on this one has not to wait for any.
        """
        if self.free or self.number == 1:
            return False
        soon = process.clock.time + SOON
        return self.number <= 1 + sum(
            gil is not process and gil.end + gil.left > soon for gil in self.processes
        )

    def preempt(self, now: float) -> None:
        """Take a core, for a process that has slept, from the one that has had it for longest."""
        running = (gil for gil in self.processes if gil.end > now)
        victim = min(running, key=lambda gil: gil.began, default=None)
        if victim is not None:
            victim._end_by(max(now, victim.began + PROTECTED))

    def release(self) -> None:
        """A process does not need its core any more."""
        if self.woken:
            self.woken.popleft()._begin()
            return
        if self.waiting:
            self.waiting.popleft()._begin()
            return
        self.free += 1
        for gil, work in self.late:
            gil.clock.after(PULL, gil._on_awake, work)


class Gil:
    """One process, whose threads take turns at computing.

    Constants: ``clock``, ``cores``, ``random`` (stream of the races for the GIL; None for a process
    of one thread, whose work is done in the order in which it comes).

    State:
        holder: the work of the thread that has the GIL.
        waiting: work of threads that have not.
        asked: when those that wait make the holder drop the GIL, s.
        challenger: work in ``waiting`` whose thread was the last to lose the GIL by force.
        began: when it got the core that it has, s.
        end: when the present turn on a core is over, s; in the past while there is none.
        left: s of the holder's work that the present turn does not finish.
    """

    __slots__ = (
        "_entries",
        "_loser",
        "_numbers",
        "_turn_over",
        "asked",
        "began",
        "challenger",
        "clock",
        "cores",
        "end",
        "holder",
        "left",
        "random",
        "waiting",
    )

    def __init__(self, clock: Clock, cores: Cores, random: Random | None) -> None:
        self.clock = clock
        self.random = random
        self.asked = 0.0
        self.challenger: Work | None = None
        self._loser: Work | None = None
        self.cores = cores
        self.holder: Work | None = None
        self.waiting: deque[Work] = deque()
        self.began = -1.0
        self.end = -1.0
        self.left = 0.0
        self._turn_over = self._on_turn_over
        self._entries = clock._entries
        self._numbers = clock._eid
        cores.processes.append(self)

    def busy(self) -> bool:
        """Whether a thread keeps the GIL for longer than `SOON`, or others wait for it too."""
        if self.waiting or self.left > 0:
            return True
        return self.holder is not None and self.end > self.clock.time + SOON

    def free_until(self, time: float) -> bool:
        """Whether a thread that computes from now to ``time`` disturbs nobody, nor is disturbed."""
        return (
            self._entries[0][0] > time
            and self.holder is None
            and self.cores.free > 0
            and not self.cores.late
            and time <= self.clock.time + SHORT
        )

    def compute(self, seconds: float, then: Then, argument: Any) -> None:  # noqa: ANN401 - of `then`
        """Let a thread without the GIL compute for ``seconds``, then call ``then(argument)``."""
        work = (seconds, then, argument, False)
        if self.holder is None:
            self.holder = work
            cores = self.cores
            if cores.free and seconds <= SHORT:
                # What `_get_core` and `_begin` would do, without the way there: nearly always.
                cores.free -= 1
                self.began = self.clock.time
                self.end = end = self.began + seconds
                heappush(self._entries, (end, NORMAL, next(self._numbers), self._turn_over, work))
            else:
                self._get_core()
            return
        self._wait(work)

    def compute_last(self, seconds: float, then: Then, argument: Any) -> None:  # noqa: ANN401
        """`compute`, as the last that an event does: if it can be, it is over at once."""
        cores, clock = self.cores, self.clock
        end = clock.time + seconds
        if self.holder is None and cores.free and seconds <= SHORT and self._entries[0][0] > end:
            cores.free -= 1
            clock.time = self.began = self.end = end
            self.holder = work = (seconds, then, argument, False)
            self._on_turn_over(work)
        else:
            self.compute(seconds, then, argument)

    def go_on(self, seconds: float, then: Then, argument: Any) -> None:  # noqa: ANN401 - of `then`
        """From within ``then``: let the same thread compute on, without dropping the GIL."""
        assert self.holder is _DONE, "only the thread that has just computed can go on"
        self.holder = (seconds, then, argument, False)

    def let_go(self, seconds: float, then: Then, argument: Any) -> None:  # noqa: ANN401 - of `then`
        """From within ``then``: let a thread compute once another has had the GIL."""
        self._loser = work = (seconds, then, argument, False)
        self.waiting.append(work)

    def compute_next(self, seconds: float, then: Then, argument: Any) -> None:  # noqa: ANN401
        """From within ``then``: let a thread compute before all that wait."""
        if self.holder is _DONE:
            self.holder = (seconds, then, argument, False)
        else:
            self.waiting.append((seconds, then, argument, False))

    def stop(self) -> None:
        """Compute nothing until `resume`: the process is stopped, or ends."""
        holder = self.holder
        assert holder is not _DONE, "a process does not stop in the middle of an event"
        if holder is None:
            self.holder = _NOBODY
            return
        cores = self.cores
        queue = next((queue for queue in (cores.woken, cores.waiting) if self in queue), None)
        if queue is not None:
            queue.remove(self)
            left = holder[0]
        else:
            left = self.left + self.end - self.clock.time
            self.left = 0.0
            cores.release()
        self.end = -1.0
        self.waiting.appendleft((left, holder[1], holder[2], True))
        self.holder = _NOBODY

    def resume(self) -> None:
        """Compute on, after `stop`."""
        assert self.holder is _NOBODY, "only a process that was stopped can go on"
        self.holder = None
        if self.waiting:
            self.holder = self._signalled()
            self._get_core()

    def end_process(self) -> None:
        """Never compute again."""
        if self.holder is not _NOBODY:
            self.stop()
        self.waiting.clear()
        self.cores.late = [entry for entry in self.cores.late if entry[0] is not self]
        self.cores.processes.remove(self)

    def _wait(self, work: Work) -> None:
        """Let a thread wait for the GIL, until it has waited for a switch interval."""
        now = self.clock.time
        if not self.waiting:
            self.asked = now + SWITCH_INTERVAL
        self.waiting.append(work)
        if self.end > self.asked:
            self._end_by(max(self.asked, now))

    def _get_core(self) -> None:
        cores = self.cores
        if cores.free:
            cores.free -= 1
            self._begin()
            return
        assert self.holder is not None, "a process without work needs no core"
        if not self.holder[3] and self.holder[0] <= SHORT:
            cores.woken.append(self)
            cores.preempt(self.clock.time)
            return
        cores.waiting.append(self)
        limit = self.clock.time + TIME_SLICE
        if cores.longest > limit:
            cores.longest = limit
            for gil in cores.processes:
                gil._end_by(limit)

    def _begin(self) -> None:
        """Begin a turn; this process has got a core."""
        self.began = self.clock.time
        self._continue()

    def _continue(self) -> None:
        """Begin another turn on the same core."""
        assert self.holder is not None, "a process without work has no turn"
        turn, on_end = self.holder[0], self._turn_over
        if turn > SHORT:
            turn = self._turn_of(turn)
            if self.left > 0:
                on_end = self._on_cut
            self.cores.longest = max(self.cores.longest, self.clock.time + turn)
        self.end = self.clock.time + turn
        self.clock.after(turn, on_end, self.holder)

    def _turn_of(self, seconds: float) -> float:
        """How much of a long computation this turn may do."""
        turn = seconds
        if self.waiting:
            turn = min(turn, max(0.0, self.asked - self.clock.time))
        if self.cores.woken:
            turn = min(turn, PROTECTED)
        elif self.cores.waiting:
            turn = min(turn, max(0.0, self.began + TIME_SLICE - self.clock.time))
        self.left = seconds - turn
        return turn

    def _end_by(self, limit: float) -> None:
        """Cut the present turn, if it is longer, so that it is over at ``limit``."""
        if self.end <= limit:
            return
        self.left += self.end - limit
        self.end = limit
        # The turn's first end stays in the queue, and finds another holder.
        self.clock.after(limit - self.clock.time, self._on_cut, self.holder)

    def _on_turn_over(self, work: Work) -> None:
        if work is not self.holder:
            return
        clock, cores = self.clock, self.cores
        while True:
            self.holder = _DONE
            work[1](work[2])
            next_work = self.holder
            if next_work is _DONE:
                if not self.waiting:
                    self.holder = None
                    if cores.waiting or cores.woken or cores.late:
                        cores.release()
                    else:
                        cores.free += 1
                    return
                if not cores.free:
                    if cores.taken_for_long(self):
                        self._signal_late()
                    else:
                        self._hand_over(self._signalled())
                    return
                self.holder = next_work = self._signalled()
            # What `_continue` would do, without the way there: nearly always.
            work, seconds = next_work, next_work[0]
            if seconds > SHORT:
                self._continue()
                return
            self.end = end = clock.time + seconds
            if self._entries[0][0] <= end:
                entry = (end, NORMAL, next(self._numbers), self._turn_over, work)
                heappush(self._entries, entry)
                return
            # As in `compute_last`: nothing else is due until this turn is over too.
            clock.time = end

    def _on_cut(self, work: Work) -> None:
        """The turn is over before the computation is."""
        if work is not self.holder:
            return
        rest = (self.left, work[1], work[2], True)
        self.left = 0.0
        if self.waiting and self.clock.time >= self.asked - ROUNDING:
            self.holder = self._winner()
            self.waiting.append(rest)
            self.challenger = rest
            self.asked = self.clock.time + SWITCH_INTERVAL
            if not self.cores.woken:
                self._continue()
                return
            rest = self.holder
        self._hand_over(rest)

    def _winner(self) -> Work:
        """Who gets the GIL that the holder has to drop.

        The last that lost it so has waited for a whole switch interval, and asks for it: it is
        awake, and nearly always quicker than those that the drop wakes up.
        """
        challenger, rivals = self.challenger, len(self.waiting) - 1
        if challenger is None or self.random is None:
            return self._signalled()
        if rivals and self.random.random() > STEALS**rivals:
            winner = self._any_but(challenger)
        else:
            winner = challenger
        self._remove(winner)
        return winner

    def _signalled(self) -> Work:
        """Who gets the GIL that its holder does not need now."""
        loser, self._loser = self._loser, None
        self.asked = self.clock.time + SWITCH_INTERVAL
        alone = self.random is None or len(self.waiting) == 1
        winner = self.waiting[0] if alone else self._any_but(loser)
        self._remove(winner)
        return winner

    def _any_but(self, excluded: Work | None) -> Work:
        """Any other of those that wait: each is as likely."""
        assert self.random is not None, "a lone thread has no rivals"
        others = [work for work in self.waiting if work is not excluded]
        return others[int(self.random.random() * len(others))]

    def first_wins(self) -> bool:
        """Whether the first of two threads gets the GIL that its holder does not need."""
        return self.random is None or self.random.random() < 0.5

    def _remove(self, winner: Work) -> None:
        # By identity: two threads may want the same.
        for place, work in enumerate(self.waiting):
            if work is winner:
                del self.waiting[place]
                break
        if winner is self.challenger:
            self.challenger = None

    def _hand_over(self, winner: Work | None) -> None:
        # The next thread gets the GIL and, if another process waits, that gets the core.
        cores = self.cores
        self.holder = winner
        if winner is not None:
            if not (cores.waiting or cores.woken):
                self._begin()
                return
            cores.waiting.append(self)
        cores.release()

    def _signal_late(self) -> None:
        """Wake a thread for the GIL while all cores are busy.

        One that has computed gets a core only with the next tick, and until then the GIL is free
        for any that has slept.
        """
        winner = self._signalled()
        if not winner[3] or self.random is None:
            self._hand_over(winner)
            return
        self.holder = None
        self.cores.late.append((self, winner))
        self.clock.after(self.random.random() * TICK, self._on_awake, winner)
        self.cores.release()

    def _on_awake(self, work: Work) -> None:
        late = self.cores.late
        for place, entry in enumerate(late):
            if entry[1] is work:
                del late[place]
                break
        else:
            return
        if self.holder is None:
            self.holder = work
            self._get_core()
        else:
            self._wait(work)
