"""The CFS bandwidth controller: how much CPU a container may use.

::

    period timer, each 100 ms --refill--> pool (quota, and what burst saved)
                                           |  slices of 5 ms     ^
                                           v                     | all but 1 ms, as a core has
    CfsRq of core 1, 2, ...  <-------------+---------------------+ no thread of the server left
      |
      +-- used up, and the pool is empty: its threads are throttled until a refill pays the debt

Names and order are those of kernel/sched/fair.c (Linux 6.18): `account_cfs_rq_runtime`,
`__assign_cfs_rq_runtime`, `throttle_cfs_rq`, `return_cfs_rq_runtime`,
`__refill_cfs_bandwidth_runtime`, `distribute_cfs_runtime`, `do_sched_cfs_period_timer`.

The kernel only looks at what a thread has used when the thread leaves its core, and at each tick.
So a thread computes on until the tick after its runtime is used up; the next periods pay for that.
Which thread of the server computes does not matter: each core has one runtime for all of them.

What a moment of CPU is, is the GIL's business: see `sim.model.cpython.gil.Gil`, which asks here
before a thread runs, while it runs, and after. Without a limit it never does.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

from sim.model.engine.clock import Clock
from sim.model.linux.scheduler import Core, Cores, Thread
from sim.run import CpuStat

if TYPE_CHECKING:
    from sim.model.cpython.gil import Gil, Work

#: s between two refills: ``cpu.cfs_period_us``, and the second number of ``cpu.max``.
PERIOD: Final = 0.1

#: s that a core takes from the pool at once (``sched_cfs_bandwidth_slice_us``).
SLICE: Final = 0.005

#: s that a core keeps when no thread of the server is left on it (``min_cfs_rq_runtime``).
KEPT: Final = 0.001

#: s until returned runtime goes to cores that are throttled (``cfs_bandwidth_slack_period``).
SLACK_PERIOD: Final = 0.005

#: s before a refill in which the slack timer does nothing (``min_bandwidth_expiration``).
REFILL_NEAR: Final = 0.002

#: s of CPU of a worker that wakes up for a connection which another worker accepts, where it does.
#: ``cpuacct`` of 1 and of 17 workers, 288 connections in 8 s: 16 workers more take 88 ms (sync),
#: and 146 ms (gthread, heartbeats included), so 19 and 26 us each time.
WAKE_IN_VAIN: Final = 0.00002

#: s that a core is given beyond its debt, as it may go on.
NANOSECOND: Final = 1e-9

#: s by which a tick may seem to be now: floats.
ROUNDING: Final = 1e-9


class CfsRq:
    """The server's part of one core's run queue.

    Constants: ``core``.

    State:
        runtime_remaining: s of CPU that its threads may use; negative for a debt.
        since: when what runs on it was accounted last, s; inf while nothing of the server runs.
        throttled: whether its threads must wait for runtime.
        throttled_clock: when its first thread had to wait, s; inf while none has.
        waiting: threads that do, each with its process and its work.
        woken: main threads that were woken for nothing meanwhile.
    """

    __slots__ = (
        "core",
        "runtime_remaining",
        "since",
        "throttled",
        "throttled_clock",
        "waiting",
        "woken",
    )

    def __init__(self, core: Core) -> None:
        self.core = core
        self.runtime_remaining = 0.0
        self.since = math.inf
        self.throttled = False
        self.throttled_clock = math.inf
        self.waiting: deque[tuple[Gil, Work]] = deque()
        self.woken: set[Thread] = set()


class CpuLimit:
    """A cgroup's CPU quota, which all processes of the server share (``struct cfs_bandwidth``).

    Constants: ``clock``, ``quota`` (s of CPU in each `PERIOD`), ``burst`` (s beyond that which
    quiet periods can save up), ``tick`` (s), ``phase`` (s from the model's start to a refill).

    State:
        runtime: s of CPU in the pool.
        throttled: run queues whose threads must wait, in the order in which they get runtime.
        nr_periods, nr_throttled, throttled_time, usage: see `sim.run.CpuStat`.
    """

    __slots__ = (
        "_active",
        "_idle",
        "_next_refill",
        "_rqs",
        "_slack_started",
        "burst",
        "clock",
        "nr_periods",
        "nr_throttled",
        "phase",
        "quota",
        "runtime",
        "throttled",
        "throttled_time",
        "tick",
        "usage",
    )

    def __init__(
        self, clock: Clock, cores: Cores, limit: float, burst: float, hz: int, phase: float
    ) -> None:
        self.clock = clock
        self.quota = limit * PERIOD
        self.burst = burst
        self.tick = 1.0 / hz
        self.phase = phase
        self.runtime = self.quota
        self.throttled: list[CfsRq] = []
        self.nr_periods = 0
        self.nr_throttled = 0
        self.throttled_time = 0.0
        self.usage = 0.0
        self._rqs = {core: CfsRq(core) for core in cores.each}
        self._active = False
        self._idle = False
        self._next_refill = math.inf
        self._slack_started = False

    # What the threads of the server do.

    def enter(self, core: Core) -> bool:
        """Let a thread run on a core; False: it is throttled, and must `wait`."""
        rq = self._rqs[core]
        if rq.throttled:
            return False
        if rq.runtime_remaining <= 0.0 and not self._assign(rq):
            self._throttle(rq)
            return False
        rq.since = self.clock.time
        return True

    def until_look(self, core: Core) -> float:
        """S until the first tick at which the runtime of a core will be used up."""
        rq, now = self._rqs[core], self.clock.time
        used_up = rq.since + rq.runtime_remaining
        when = math.ceil(used_up / self.tick) * self.tick
        if when <= now + ROUNDING:
            when += self.tick
        return when - now

    def is_due(self, core: Core) -> bool:
        """Whether the turn on a core has lasted `until_look`."""
        rq = self._rqs[core]
        return self.clock.time >= rq.since + rq.runtime_remaining - ROUNDING

    def look(self, core: Core) -> bool:
        """A tick, or another thread takes over: whether threads on this core may go on."""
        rq = self._rqs[core]
        self._account(rq)
        if rq.runtime_remaining > 0.0:
            return True
        self._throttle(rq)
        return False

    def leave(self, core: Core) -> None:
        """A thread leaves a core: it sleeps, or waits there for its next turn."""
        rq = self._rqs[core]
        if rq.throttled:
            return
        self._account(rq)
        rq.since = math.inf
        if rq.runtime_remaining <= 0.0:
            self._throttle(rq)
        elif not any(gil.limit is self for gil, _ in core.queue):
            self._return_slack(rq)

    def wait(self, core: Core, gil: Gil, work: Work) -> None:
        """Let a thread that is throttled on a core wait for runtime; `Gil.unthrottled` follows."""
        rq = self._rqs[core]
        # It is to run where it was when it last asked.
        work.thread.core = core
        assert rq.throttled, "a thread that may run is not throttled"
        if rq.throttled_clock == math.inf:
            rq.throttled_clock = self.clock.time
        rq.waiting.append((gil, work))

    def remove(self, gil: Gil) -> list[Work]:
        """Let no thread of a process wait for runtime any more; the work of those that did."""
        removed: list[Work] = []
        for rq in self._rqs.values():
            if rq.waiting:
                removed.extend(work for of, work in rq.waiting if of is gil)
                rq.waiting = deque(entry for entry in rq.waiting if entry[0] is not gil)
        return removed

    def wake_in_vain(self, thread: Thread) -> None:
        """A main thread wakes up for a connection that another worker has taken by then."""
        rq = self._rqs[thread.core]
        if rq.throttled:
            # Once it is awake, further connections do not wake it.
            rq.woken.add(thread)
            return
        self._charge(rq, WAKE_IN_VAIN)

    def stat(self) -> CpuStat:
        """``cpu.stat`` until now, threads that wait or run now included."""
        now = self.clock.time
        open_ = math.fsum(
            now - rq.throttled_clock for rq in self.throttled if rq.throttled_clock <= now
        )
        running = math.fsum(now - rq.since for rq in self._rqs.values() if rq.since <= now)
        return CpuStat(
            self.nr_periods, self.nr_throttled, self.throttled_time + open_, self.usage + running
        )

    # What the kernel does.

    def _charge(self, rq: CfsRq, seconds: float) -> None:
        """Account CPU of a thread that the model does not run."""
        rq.runtime_remaining -= seconds
        self.usage += seconds
        if rq.since == math.inf and rq.runtime_remaining <= 0.0 and not self._assign(rq):
            self._throttle(rq)

    def _account(self, rq: CfsRq) -> None:
        """`account_cfs_rq_runtime`."""
        now = self.clock.time
        ran = now - rq.since
        assert ran >= 0.0, "only what runs is accounted"
        rq.since = now
        rq.runtime_remaining -= ran
        self.usage += ran
        if rq.runtime_remaining <= 0.0:
            self._assign(rq)

    def _assign(self, rq: CfsRq) -> bool:
        """`__assign_cfs_rq_runtime`: whether the run queue has runtime after it."""
        self._start()
        amount = min(self.runtime, SLICE - rq.runtime_remaining)
        if amount > 0.0:
            self.runtime -= amount
            self._idle = False
            rq.runtime_remaining += amount
        return rq.runtime_remaining > 0.0

    def _throttle(self, rq: CfsRq) -> None:
        """`throttle_cfs_rq`."""
        assert not rq.throttled, "what is throttled uses nothing"
        rq.throttled = True
        rq.since = math.inf
        self.throttled.append(rq)

    def _unthrottle(self, rq: CfsRq) -> None:
        """`unthrottle_cfs_rq`."""
        rq.throttled = False
        self.throttled.remove(rq)
        if rq.throttled_clock <= self.clock.time:
            self.throttled_time += self.clock.time - rq.throttled_clock
            rq.throttled_clock = math.inf
        waiting, rq.waiting = rq.waiting, deque()
        woken = len(rq.woken)
        rq.woken.clear()
        for gil, work in waiting:
            gil.unthrottled(rq.core, work)
        if woken:
            self._charge(rq, woken * WAKE_IN_VAIN)

    def _return_slack(self, rq: CfsRq) -> None:
        """`return_cfs_rq_runtime`."""
        slack = rq.runtime_remaining - KEPT
        if slack <= 0.0:
            return
        self.runtime += slack
        rq.runtime_remaining -= slack
        if (
            self.runtime > SLICE
            and self.throttled
            and not self._slack_started
            and self._next_refill - self.clock.time > SLACK_PERIOD + REFILL_NEAR
        ):
            self._slack_started = True
            self.clock.after(SLACK_PERIOD, self._on_slack, None)

    def _on_slack(self, _: None) -> None:
        """`do_sched_cfs_slack_timer`."""
        self._slack_started = False
        if self._next_refill - self.clock.time > REFILL_NEAR and self.runtime > SLICE:
            self._distribute()

    def _start(self) -> None:
        """`start_cfs_bandwidth`: the period timer keeps its phase."""
        if not self._active:
            self._active = True
            passed = math.floor((self.clock.time - self.phase) / PERIOD) + 1
            self._next_refill = max(self.clock.time, self.phase + passed * PERIOD)
            self.clock.after(self._next_refill - self.clock.time, self._on_period, None)

    def _on_period(self, _: None) -> None:
        """`do_sched_cfs_period_timer`."""
        throttled = bool(self.throttled)
        self.nr_periods += 1
        self._refill()
        if self._idle and not throttled:
            self._active = False
            self._next_refill = math.inf
            return
        self._next_refill = self.clock.time + PERIOD
        self.clock.after(PERIOD, self._on_period, None)
        self._idle = not throttled
        if throttled:
            self.nr_throttled += 1
            self._distribute()

    def _refill(self) -> None:
        """`__refill_cfs_bandwidth_runtime`."""
        self.runtime = min(self.runtime + self.quota, self.quota + self.burst)

    def _distribute(self) -> None:
        """`distribute_cfs_runtime`: pay debts, in the order in which they were made."""
        for rq in tuple(self.throttled):
            amount = min(self.runtime, NANOSECOND - rq.runtime_remaining)
            self.runtime -= amount
            rq.runtime_remaining += amount
            if rq.runtime_remaining > 0.0:
                self._unthrottle(rq)
            if self.runtime <= 0.0:
                break
