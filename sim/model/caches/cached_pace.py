"""How quickly a worker's own code runs: the caches keep some of what it ran last.

Measured with requests to 1, 2 and 4 workers, 0.2-45 ms apart at random, on 2 cores of a virtual
machine. CPU time of Flask's part is compared with what it is after 16 ms and more. It is 0.4 of
that right after the same part of another request in the same worker, 0.75 after one in another
worker. Both savings are lost with the same time constant. Neither the thread nor the core matters.

One step does not warm all of it: where many follow each other at once, as in a closed loop that
never thinks, they take less than half as long as the second (`sim.model.fitted.caches.HOT`). Each
step warms a part of what is still cold, and `Costs.cached` is what the second of two takes.

Only idleness cools, for it is then that the host gives a core and its caches to others. Four
workers that compute for 12 ms each, 140 times a second, pay 0.75-0.8 whatever the gap. One worker
that keeps one of the two cores busy for 12 of 14 ms pays 0.9.
"""

from __future__ import annotations

from math import exp

from sim.experiment.costs import Costs
from sim.model.caches.host_steps import HostSteps
from sim.model.caches.pace import INSTANT, LONG_AGO
from sim.model.fitted.caches import HOT


class CachedPace:
    """The pace of one kind of step in one worker.

    Constants: ``host`` (the same kind in all workers), ``most`` and ``elsewhere`` (part of what
    such a step costs cold that is saved where all is warm, and right after one of any worker),
    ``gain`` (part of what is cold that a step warms), ``eviction`` (s).

    State: ``last`` (when such a step of this worker ran last, s of idleness), ``warmth`` (just
    after that, from 0 to 1).
    """

    __slots__ = ("computing", "elsewhere", "eviction", "gain", "host", "last", "most", "warmth")

    def __init__(self, costs: Costs, host: HostSteps) -> None:
        self.host = host
        self.computing = host.computing
        self.most = 1.0 - HOT * costs.cached
        self.gain = (1.0 - costs.cached) / self.most
        self.warmth = 0.0
        self.elsewhere = 1.0 - costs.cached_elsewhere
        self.eviction = max(costs.eviction, INSTANT)
        self.last = LONG_AGO

    def at(self, now: float) -> float:
        """What a step that ran ``now`` would cost, as a part of what it costs cold."""
        idle = now - self.computing.seconds
        return self._pace(idle, self._kept(idle))

    def step(self, now: float) -> float:
        """The same of a step that does run."""
        idle = now - self.computing.seconds
        kept = self._kept(idle)
        pace = self._pace(idle, kept)
        left = self.warmth * kept
        self.warmth = left + self.gain * (1.0 - left)
        self.last = self.host.last = idle
        return pace

    def _kept(self, idle: float) -> float:
        """The part of its warmth that this worker has after so much idleness, s."""
        # Both cores may have computed since, for longer than it took: that is no idleness.
        return exp((self.last - idle) / self.eviction) if self.last < idle else 1.0

    def _pace(self, idle: float, kept: float) -> float:
        saved = self.most * self.warmth * kept
        host_last = self.host.last
        if host_last > self.last:
            gap = host_last - idle
            other = self.elsewhere * exp(gap / self.eviction) if gap < 0 else self.elsewhere
            if other > saved:  # noqa: PLR1730 - the call would cost more
                saved = other
        return 1.0 - saved
