"""A pod of the model: the processes of its container, and the sockets that they listen at."""

from __future__ import annotations

from random import Random

from sim.model.gunicorn.arbiter import Arbiter
from sim.model.gunicorn.worker import Worker
from sim.model.linux.listening_socket import ListeningSocket


class Pod:
    """One pod of one container, with an address of its own. All experiments have at least one.

    Constants: ``number``, from 1; ``hashes`` (stream of the kernel's choice among sockets).

    State:
        masters: of the container that runs; the first, and the second once there is one.
        workers: all that its masters ever forked.
        listeners: all sockets that they ever opened.
        reachable: those of them that a new connection finds.
    """

    __slots__ = ("hashes", "listeners", "masters", "number", "reachable", "workers")

    def __init__(self, number: int, hashes: Random) -> None:
        self.number = number
        self.hashes = hashes
        self.masters: list[Arbiter] = []
        self.workers: list[Worker] = []
        self.listeners: list[ListeningSocket] = []
        self.reachable: list[ListeningSocket] = []

    def named(self, what: str) -> str:
        """How events name ``what`` of this pod; see `sim.run.ProcessEvent`."""
        return what if self.number == 1 else f"{what} {self.number}"

    def choose_listener(self) -> ListeningSocket | None:
        """The kernel's choice of a socket for a new connection; None where nothing listens."""
        reachable = self.reachable
        if len(self.listeners) == 1:
            return reachable[0] if reachable else None
        # `reuseport_select_sock` (net/core/sock_reuseport.c) takes a hash of the connection's
        # addresses and ports, which is uniform over the client's ephemeral ports.
        return self.hashes.choice(reachable) if reachable else None
