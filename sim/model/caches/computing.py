"""What applications have computed on a host: its cores did not idle meanwhile."""

from __future__ import annotations


class Computing:
    """The CPU that requests have taken, as time of the whole host.

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
