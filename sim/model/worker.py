"""What every worker is to the rest of the model."""

from __future__ import annotations

from typing import Protocol

from sim.model.connection import Connection


class Worker(Protocol):
    """A worker process, of whatever class.

    Attributes:
        boot_order: 1 for the first fork, and so on.
        waited: sum of the times that requests have waited inside it for a thread, s.
        longest: most requests that ever waited inside it.
    """

    boot_order: int
    waited: float
    longest: int

    def run(self) -> None:
        """Enter the main loop: register with the listening socket and accept."""

    def on_readable(self, connection: Connection) -> None:
        """A client has sent a request on a connection that it had kept."""
