"""The machine that the server runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.experiment.checks import check_choice, check_whole

Clients = Literal["local", "remote"]


CLIENTS: tuple[Clients, ...] = ("local", "remote")


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that the server runs on.

    Attributes:
        cores: processors that all processes share.
        somaxconn: ``net.core.somaxconn``, the kernel's own limit of the accept queue.
        clients: ``local`` where the clients are one process on the same cores, as the rig's load
            generator is; ``remote`` where they take none of them.
    """

    cores: int = 2
    somaxconn: int = 4096
    clients: Clients = "local"

    def __post_init__(self) -> None:
        check_whole("cores", self.cores, 1, 4096)
        check_whole("somaxconn", self.somaxconn, 1)
        check_choice("clients", self.clients, CLIENTS)
