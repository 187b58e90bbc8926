"""What a calibration sends to learn which worker accepts."""

from __future__ import annotations

from dataclasses import dataclass

from sim.experiment.distribution import Distribution


@dataclass(frozen=True, slots=True)
class Load:
    """Requests that do nothing but wait, each on a connection of its own, for a gthread server.

    Attributes:
        workers: at least 1.
        threads: of each.
        rate: Poisson arrivals, requests/s.
        io: of a request, s.
        requests: after which the server is empty again.
    """

    workers: int
    threads: int
    rate: float
    io: Distribution
    requests: int

    def __str__(self) -> str:
        """As a report names it."""
        return f"{self.workers} workers x {self.threads} threads at {self.rate:.0f}/s"
