"""When steps of one kind ran last on a host, by a clock that only runs while its cores idle."""

from __future__ import annotations

from sim.model.pace import LONG_AGO


class Computing:
    """What applications have computed.

    Constants: ``share`` (of all cores that one computation keeps busy).

    State: ``seconds`` (for which all cores would have been busy).
    """

    __slots__ = ("seconds", "share")

    def __init__(self, cores: int) -> None:
        self.share = 1.0 / cores
        self.seconds = 0.0

    def computed(self, seconds: float) -> None:
        """A request has taken so many s of CPU."""
        self.seconds += seconds * self.share


class HostSteps:
    """One kind of step, over all workers of the host.

    Constants: ``computing``.

    State: ``last`` (when such a step ran last, s of idleness).
    """

    __slots__ = ("computing", "last")

    def __init__(self, computing: Computing) -> None:
        self.computing = computing
        self.last = LONG_AGO
