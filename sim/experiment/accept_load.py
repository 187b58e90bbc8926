"""Traffic of a calibration that finds out which worker accepts."""

from __future__ import annotations

from dataclasses import dataclass

from sim.experiment.distribution import Distribution


@dataclass(frozen=True, slots=True)
class Load:
    """Requests that only wait, each on a new connection, for a `gthread` server.

    Attributes:
        workers: number of workers, at least 1.
        threads: of each worker.
        rate: Poisson arrivals, requests/s.
        io: of a request, s.
        requests: number of them; then the server is empty again.
    """

    workers: int
    threads: int
    rate: float
    io: Distribution
    requests: int

    def __str__(self) -> str:
        """As a report names it."""
        return f"{self.workers} workers x {self.threads} threads at {self.rate:.0f}/s"
