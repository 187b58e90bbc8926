"""When steps of one kind ran last on a host, by a clock that only runs while its cores idle."""

from __future__ import annotations

from sim.model.caches.computing import Computing
from sim.model.caches.pace import LONG_AGO


class HostSteps:
    """One kind of step, over all workers of the host.

    Constants: ``computing``.

    State: ``last`` (when such a step ran last, s of idleness).
    """

    __slots__ = ("computing", "last")

    def __init__(self, computing: Computing) -> None:
        self.computing = computing
        self.last = LONG_AGO
