"""The host's cores, each with the queue of threads that wait for it.

::

    Gil (a process) --thread, work--> Core.queue --turns of SLICE--> the core

A thread that wakes up goes to the core where it ran last, also when another one idles: Linux does
not send it to a virtual core that has halted, as the host may have given that away. It takes the
core from a thread that has had its slice, or waits for the rest of that. From then on they take
turns, until the idle core takes one of them: some ticks later. So cores idle next to a queue, for a
tenth of the time where several processes compute. Busy cores even their queues out too, but seldom.

All of this was read from traces (``sched_switch``, ``sched_wakeup``) of processes that sleep and
compute by turns, and of Gunicorn, on two virtual cores of Linux 6.18; `tests/model/test_cores.py`
has what they showed.
"""

from __future__ import annotations

import math
from collections import deque
from random import Random
from typing import TYPE_CHECKING, Final

from sim.experiment.costs import Costs
from sim.model.engine.clock import Clock

if TYPE_CHECKING:
    from sim.model.cpython.gil import Gil, Work

#: s that a thread keeps a core while another one waits for it: the slice of EEVDF, which is
#: 0.7 ms times ``1 + log2(cores)`` (kernel/sched/fair.c, ``sysctl_sched_base_slice``), here with
#: two cores and CONFIG_SCHED_HRTICK. For as long it keeps it from one that wakes up, too.
SLICE: Final = 0.0014

#: Probability that it does so. From the load generator, which has had less of its core than anyone
#: else, nobody keeps it: in 1,400 cases that waited for 0.01 ms in the median.
KEEP: Final = 0.7

#: Probability, for each thread that waits for the core already, that it comes before one that wakes
#: up and needs the core for a moment only: `pick_eevdf` takes the earliest deadline, and whoever
#: has waited mostly has that. In traces of Gunicorn 0.2 for each that waits, at each wake-up; but a
#: request that finds the cores busy has up to four of them (the worker's for the connection, the
#: pool thread's, the client's that was preempted before it could send, and the thread's again for
#: what that sent), and the model has two. With 0.3 it has how long requests take to start, beside
#: two to eight processes that compute.
PASSED: Final = 0.3

#: The same where it needs the core for longer than a slice: that it comes after all of them.
LAST: Final = 0.5

#: How much less often a busy core takes a thread from a longer queue than an idle one does. Where
#: one queue had two more than the other, it did so every 130 ms in traces of Gunicorn, and every
#: 64 ms in those of six processes that compute for 12.5 ms by turns. The model takes 24 ms: with
#: 60, the slowest twentieth of those takes 4 % longer than on Linux (`tests/model/test_cores.py`).
BALANCE: Final = 0.25


class Core:
    """One processor.

    State: ``running`` (the process whose thread has it), ``began`` (when its slice began, s),
    ``queue`` (threads that wait for it, each with its process and its work).
    """

    __slots__ = ("began", "queue", "running")

    def __init__(self) -> None:
        self.running: Gil | None = None
        self.began = -math.inf
        self.queue: deque[tuple[Gil, Work]] = deque()


class Thread:
    """A thread of any process.

    State: ``core`` (where it ran last, or is to run first), ``used`` (s of its slice, if it lost
    the core before that was over).
    """

    __slots__ = ("core", "used")

    def __init__(self, core: Core) -> None:
        self.core = core
        self.used = 0.0


class Cores:
    """The host's processors.

    Constants: ``clock``, ``random`` (stream of what the scheduler does when), ``wake_idle``,
    ``pull`` and ``handover`` (see `Costs`), ``number``, ``each`` (of them). Of ``others``, the
    processors that are not the client's while it connects, see `another_idles`.

    State:
        free: processors that idle.
        queued: threads that wait for one.
    """

    __slots__ = (
        "_another",
        "_homes",
        "_pulling",
        "clock",
        "each",
        "free",
        "handover",
        "number",
        "pull",
        "queued",
        "random",
        "wake_idle",
    )

    def __init__(
        self, clock: Clock, random: Random, costs: Costs, number: int, others: int
    ) -> None:
        self.clock = clock
        self.random = random
        self.wake_idle = costs.wake_idle
        self.pull = costs.pull
        self.handover = costs.handover
        self.number = number
        self._another = min(others, 1 + (others == number))
        self.each = tuple(Core() for _ in range(number))
        self.free = number
        self.queued = 0
        self._homes = 0
        self._pulling = False

    def home(self) -> Core:
        """The core on which a new thread is to run first: they are spread."""
        self._homes += 1
        return self.each[self._homes % self.number]

    def idle_core(self) -> Core | None:
        """Any core that idles."""
        if self.free:
            for core in self.each:
                if core.running is None:
                    return core
        return None

    def found_by(self, thread: Thread) -> Core:
        """The core to which a thread goes that wakes up, of its own or by another thread.

        Its own, if who wakes it up is about to leave that.
        """
        core = thread.core
        running = core.running
        if (
            running is not None
            and self.free
            and not running.is_over()
            and self.random.random() < self.wake_idle
        ):
            return self.idle_core() or core
        return core

    def crowded(self) -> bool:
        """Whether a worker computes on every core, so that no thread can wake up at once.

        The client does not count: it leaves its core soon.
        """
        return not self.free and all(
            core.running is not None and core.running.random is not None for core in self.each
        )

    def another_idles(self, within: float) -> bool:
        """Whether a core idles, or will ``within`` s, that is not the client's, who is connecting.

        That one idles too as far as ``free`` goes.
        """
        if self.free >= self._another:
            return True
        soon = self.clock.time + within
        for core in self.each:
            running = core.running
            if running and not (core.queue or running.is_over()) and running.end < soon:
                return True
        return False

    def enqueue(self, core: Core, gil: Gil, work: Work) -> None:
        """Let a thread that wakes up wait for a core that is busy, and take it as soon as it may.

        It takes it from who runs only if it comes before all that wait already: see `PASSED`.
        """
        running = core.running
        assert running is not None, "nobody waits for a core that idles"
        self.queued += 1
        if running.is_over() and not core.queue:
            # It has the core as soon as what wakes it up is done.
            core.queue.append((gil, work))
            return
        place = self._place(core, gil, work)
        core.queue.insert(place, (gil, work))
        if place == 0:
            may = now = self.clock.time
            kept = core.began + SLICE
            if kept > now and gil.random is not None and self.random.random() < KEEP:
                may = kept
            running.end_by(may)
        if self.free or len(core.queue) > 1:
            self._pull_later()

    def _place(self, core: Core, gil: Gil, work: Work) -> int:
        """Behind how many of those that wait for a core a thread comes that wakes up."""
        waiting = len(core.queue)
        if not waiting or gil.random is None:
            return 0
        if work[0] > SLICE:
            return waiting if self.random.random() < LAST else 0
        place = 0
        while place < waiting and self.random.random() < PASSED:
            place += 1
        return place

    def release(self, core: Core) -> None:
        """The thread that had a core does not need it any more, or not now."""
        while core.queue:
            gil, work = core.queue.popleft()
            self.queued -= 1
            if gil.on_core(core, work):
                if self.queued > len(core.queue) + 1:
                    self._pull_later()
                return
        core.running = None
        self.free += 1
        if self.queued:
            self._pull_later()

    def remove(self, gil: Gil) -> list[Work]:
        """Let no thread of a process wait for a core any more; the work of those that did."""
        removed = [work for core in self.each for of, work in core.queue if of is gil]
        for core in self.each:
            core.queue = deque(entry for entry in core.queue if entry[0] is not gil)
        self.queued -= len(removed)
        return removed

    def _pull_later(self) -> None:
        # Memoryless: one that was drawn before, and did not come to anything, is as good.
        if not self._pulling:
            self._pulling = True
            mean = self.pull / max(1, self.free)
            self.clock.after(mean * self.random.expovariate(1.0), self._pull, None)

    def _pull(self, _: None) -> None:
        self._pulling = False
        busiest = self._busiest()
        core = self.idle_core() or self._least_busy()
        running = core.running
        if len(busiest.queue) <= len(core.queue) + (running is not None):
            return
        if running is not None and self.random.random() >= BALANCE:
            self._pull_later()
            return
        gil, work = busiest.queue.popleft()
        if running is not None:
            core.queue.append((gil, work))
            running.end_by(max(self.clock.time, core.began + SLICE))
        else:
            self.queued -= 1
            if gil.on_core(core, work):
                self.free -= 1
        if self.queued:
            self._pull_later()

    def _busiest(self) -> Core:
        """The first of those with the longest queue."""
        # Loops, not `max` and `min` with a key: half the time where there are hundreds.
        found, longest = self.each[0], 0
        for core in self.each:
            length = len(core.queue)
            if length > longest:
                found, longest = core, length
        return found

    def _least_busy(self) -> Core:
        """The first of those with the shortest queue."""
        found = self.each[0]
        shortest = len(found.queue)
        for core in self.each:
            length = len(core.queue)
            if length < shortest:
                found, shortest = core, length
        return found
