"""Who computes: the host's cores, and inside each process the holder of the GIL.

::

    thread --compute(s)--> Gil: one thread of a process --> Cores: so many processes

A computation that nobody waits for runs through in one event. When another thread of the
process waits, the holder drops the GIL after CPython's switch interval; when another process
waits for a core, the kernel takes the core away after a time slice.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from heapq import heappush
from typing import Any

from simpy.events import NORMAL

from sim.model.clock import Clock

#: s that a thread keeps the GIL while another one waits for it: `sys.getswitchinterval()`.
SWITCH_INTERVAL = 0.005

#: s that a process keeps a core while another waits for one. EEVDF's slice is 2.8 ms at most
#: (kernel/sched/fair.c, ``sysctl_sched_base_slice``), and is looked at once a tick: 4 ms at
#: CONFIG_HZ=250.
TIME_SLICE = 0.004

Then = Callable[[Any], None]

#: s left, and what to call with which argument once they are over.
Work = tuple[float, Then, Any]


def _nothing(_: object) -> None:
    """Holds the GIL while its thread decides whether to go on."""


_DONE: Work = (0.0, _nothing, None)

#: Holds the GIL of a process that does not run: SIGSTOP has stopped it, or it has ended.
_NOBODY: Work = (0.0, _nothing, None)


class Cores:
    """The host's processors.

    Constants: ``number``.

    State:
        free: processors without a process.
        last_begun: when a process last accepted or began a request, s; see `sim.model.wakeup`.
        processes: all of them; those whose turn is not over have a processor.
        waiting: processes that could compute and have none; first come, first served.
        longest: when the last of the turns is over that were begun for more than a time slice, s.
    """

    __slots__ = ("free", "last_begun", "longest", "number", "processes", "waiting")

    def __init__(self, number: int) -> None:
        self.number = number
        self.free = number
        self.last_begun = -math.inf
        self.longest = -math.inf
        self.processes: list[Gil] = []
        self.waiting: deque[Gil] = deque()

    def idle_for(self, now: float) -> float:
        """How long no processor has been busy with accepting or beginning a request, s."""
        return now - self.last_begun if self.free == self.number else 0.0


class Gil:
    """One process, whose threads take turns at computing.

    Constants: ``clock``, ``cores``.

    State:
        holder: the work of the thread that has the GIL.
        waiting: work of threads that have not; first come, first served.
        end: when the present turn on a core is over, s; in the past while there is none.
        left: s of the holder's work that the present turn does not finish.
    """

    __slots__ = (
        "_entries",
        "_numbers",
        "_turn_over",
        "clock",
        "cores",
        "end",
        "holder",
        "left",
        "waiting",
    )

    def __init__(self, clock: Clock, cores: Cores) -> None:
        self.clock = clock
        self.cores = cores
        self.holder: Work | None = None
        self.waiting: deque[Work] = deque()
        self.end = -1.0
        self.left = 0.0
        self._turn_over = self._on_turn_over
        self._entries = clock._entries
        self._numbers = clock._eid
        cores.processes.append(self)

    def compute(self, seconds: float, then: Then, argument: Any) -> None:  # noqa: ANN401 - of `then`
        """Let a thread without the GIL compute for ``seconds``, then call ``then(argument)``."""
        work = (seconds, then, argument)
        if self.holder is None:
            self.holder = work
            cores = self.cores
            if cores.free and seconds <= TIME_SLICE:
                # What `_get_core` and `_begin` would do, without the way there: nearly always.
                cores.free -= 1
                self.end = end = self.clock.time + seconds
                heappush(self._entries, (end, NORMAL, next(self._numbers), self._turn_over, work))
            else:
                self._get_core()
            return
        self.waiting.append(work)
        if self.end > self.clock.time + SWITCH_INTERVAL:
            self._end_by(self.clock.time + SWITCH_INTERVAL)

    def compute_last(self, seconds: float, then: Then, argument: Any) -> None:  # noqa: ANN401
        """`compute`, as the last that an event does: if it can be, it is over at once."""
        cores, end = self.cores, self.clock.time + seconds
        if self.holder is None and cores.free and seconds <= TIME_SLICE and self.clock.skip_to(end):
            cores.free -= 1
            self.end = end
            self.holder = work = (seconds, then, argument)
            self._on_turn_over(work)
        else:
            self.compute(seconds, then, argument)

    def go_on(self, seconds: float, then: Then, argument: Any) -> None:  # noqa: ANN401 - of `then`
        """From within ``then``: let the same thread compute on, without dropping the GIL."""
        assert self.holder is _DONE, "only the thread that has just computed can go on"
        self.holder = (seconds, then, argument)

    def stop(self) -> None:
        """Compute nothing until `resume`: the process is stopped, or ends."""
        holder = self.holder
        assert holder is not _DONE, "a process does not stop in the middle of an event"
        if holder is None:
            self.holder = _NOBODY
            return
        cores = self.cores
        if self in cores.waiting:
            cores.waiting.remove(self)
            left = holder[0]
        else:
            left = self.left + self.end - self.clock.time
            self.left = 0.0
            if cores.waiting:
                cores.waiting.popleft()._begin()
            else:
                cores.free += 1
        self.end = -1.0
        self.waiting.appendleft((left, *holder[1:]))
        self.holder = _NOBODY

    def resume(self) -> None:
        """Compute on, after `stop`."""
        assert self.holder is _NOBODY, "only a process that was stopped can go on"
        self.holder = None
        if self.waiting:
            self.holder = self.waiting.popleft()
            self._get_core()

    def end_process(self) -> None:
        """Never compute again."""
        if self.holder is not _NOBODY:
            self.stop()
        self.waiting.clear()
        self.cores.processes.remove(self)

    def _get_core(self) -> None:
        cores = self.cores
        if cores.free:
            cores.free -= 1
            self._begin()
            return
        cores.waiting.append(self)
        limit = self.clock.time + TIME_SLICE
        if cores.longest > limit:
            cores.longest = limit
            for gil in cores.processes:
                gil._end_by(limit)

    def _begin(self) -> None:
        """Begin a turn; this process has a core."""
        assert self.holder is not None, "a process without work has no turn"
        turn, on_end = self.holder[0], self._turn_over
        if turn > TIME_SLICE:
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
            turn = min(turn, SWITCH_INTERVAL)
        if self.cores.waiting:
            turn = min(turn, TIME_SLICE)
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
        while True:
            self.holder = _DONE
            work[1](work[2])
            if self.holder is not _DONE:
                self._begin()
                return
            if self.cores.waiting:
                self._hand_over()
                return
            if not self.waiting:
                self.holder = None
                self.cores.free += 1
                return
            # What `_hand_over` and `_begin` would do, without the way there: nearly always.
            self.holder = work = self.waiting.popleft()
            if work[0] > TIME_SLICE:
                self._begin()
                return
            self.end = end = self.clock.time + work[0]
            if not self.clock.skip_to(end):
                self.clock.after(work[0], self._turn_over, work)
                return

    def _on_cut(self, work: Work) -> None:
        """The turn is over before the computation is."""
        if work is not self.holder:
            return
        self.waiting.append((self.left, work[1], work[2]))
        self.left = 0.0
        self._hand_over()

    def _hand_over(self) -> None:
        # The next thread gets the GIL and, if another process waits, that gets the core.
        cores = self.cores
        if not self.waiting:
            self.holder = None
        else:
            self.holder = self.waiting.popleft()
            if not cores.waiting:
                self._begin()
                return
            cores.waiting.append(self)
        if cores.waiting:
            cores.waiting.popleft()._begin()
        else:
            cores.free += 1
