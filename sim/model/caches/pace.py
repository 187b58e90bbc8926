"""How quickly the kernel and the client act: the longer they have not, the longer it takes.

On a virtual machine the handshake of a connection and the wake-up of a poller take 7-10 times as
long after 50 ms of idleness as right after another request. It does not matter which worker served
that: the host has given the core to others. What a worker computes is in
`sim.model.caches.cached_pace`.
"""

from __future__ import annotations

from typing import Final

from sim.experiment.costs import Costs

#: A time before any request, s: all is cold then.
LONG_AGO: Final = -1e9

#: The shortest cooling, s: where it is 0, all but what runs at the same moment is cold.
INSTANT: Final = 1e-12


class Pace:
    """The pace of one kind of step, over all processes of the host.

    Constants: ``warm`` (what a step costs right after another, as a part of what it costs cold),
    ``cooling`` (s of idleness after which it has lost half of the difference).

    State: ``last`` (when such a step ran last, s).
    """

    __slots__ = ("cooling", "last", "warm_cooling")

    def __init__(self, costs: Costs) -> None:
        self.cooling = max(costs.cooling, INSTANT)
        self.warm_cooling = costs.warm * self.cooling
        self.last = LONG_AGO

    def step(self, now: float) -> float:
        """What the step that runs ``now`` costs, as a part of what it costs cold.

        From ``warm`` at once to 1 after long idleness, half-way after ``cooling``. A step that is
        noted late may have run before the last: then it was as warm as it can be.
        """
        idle = now - self.last
        if idle < 0.0:
            idle = 0.0
        else:
            self.last = now
        return (idle + self.warm_cooling) / (idle + self.cooling)

    def at(self, time: float) -> float:
        """What a step would cost at ``time``, if none ran before."""
        idle = time - self.last
        return (idle + self.warm_cooling) / (idle + self.cooling)
