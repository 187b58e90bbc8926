"""The kernel's timer wheel (kernel/time/timer.c): its timers fire late, and together.

::

    level   holds a timer of up to   and fires it at the next multiple of   (250 ticks/s)
      0            0.25 s                        4 ms
      1            2.02 s                       32 ms
      2           16.1  s                      256 ms
      3          129    s                     2048 ms

That is why retransmissions come in bursts: all SYNs that were dropped within 32 ms are sent again
in the same tick, a second later.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from random import Random

from sim.model.engine.clock import Call, Clock

#: ``LVL_CLK_SHIFT``: each level is 8 times as coarse as the one before.
LVL_CLK_SHIFT = 3

#: ``LVL_START``: jiffies from which on a timer goes into level 1, 2, 3, ...
LVL_START = tuple(63 << LVL_CLK_SHIFT * level for level in range(7))

#: Jiffies by which the model's clock may stop short of a tick: floats.
ROUNDING = 1e-6


class TimerWheel:
    """The timers of one host's TCP.

    Constants: ``clock``, ``hz`` (ticks, "jiffies", in a second: CONFIG_HZ), ``phase`` (jiffies at
    the model's time 0, with a fraction).
    State: ``_ticks``: what is to happen in a tick, the first that was added first.
    """

    def __init__(self, clock: Clock, random: Random, hz: int) -> None:
        self.clock = clock
        self.hz = hz
        self.phase = random.uniform(0.0, LVL_START[-1])
        self._ticks: dict[int, list[Callable[[], None]]] = {}

    def add(self, jiffies: int, function: Callable[[], None]) -> float:
        """`mod_timer`: call ``function()`` in ``jiffies``, or somewhat later; returns when, s."""
        expires = floor(self.clock.time * self.hz + self.phase + ROUNDING) + jiffies
        level = sum(jiffies >= start for start in LVL_START)
        # `calc_index`: rounded up, for a timer must not fire early.
        tick = ((expires >> LVL_CLK_SHIFT * level) + 1) << LVL_CLK_SHIFT * level
        time = (tick - self.phase) / self.hz
        if tick not in self._ticks:
            self._ticks[tick] = []
            Call(self.clock, lambda _: self._expire(tick)).after(time - self.clock.time)
        self._ticks[tick].append(function)
        return time

    def _expire(self, tick: int) -> None:
        # `enqueue_timer` puts the newest at the head of the bucket's list.
        for function in reversed(self._ticks.pop(tick)):
            function()
