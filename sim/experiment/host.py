"""The machine that the server runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.errors import ExperimentError
from sim.experiment.checks import check_choice, check_whole

Clients = Literal["local", "remote"]


CLIENTS: tuple[Clients, ...] = ("local", "remote")

#: What CONFIG_HZ can be on x86 and ARM (kernel/Kconfig.hz).
HZ: tuple[int, ...] = (100, 250, 300, 1000)


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that the server runs on.

    Attributes:
        cores: processors that all processes share.
        somaxconn: ``net.core.somaxconn``, the kernel's own limit of the accept queue.
        clients: ``local`` where the clients are one process on the same cores, as the rig's load
            generator is; ``remote`` where they take none of them.
        hz: ticks of the kernel's timers per second, CONFIG_HZ; ``zcat /proc/config.gz`` or
            ``/boot/config-*`` has it.
    """

    cores: int = 2
    somaxconn: int = 4096
    clients: Clients = "local"
    hz: int = 250

    def __post_init__(self) -> None:
        check_whole("cores", self.cores, 1, 4096)
        check_whole("somaxconn", self.somaxconn, 1)
        check_choice("clients", self.clients, CLIENTS)
        if self.hz not in HZ:
            expected = ", ".join(map(str, HZ))
            raise ExperimentError(f"hz is {self.hz}; expected one of {expected}")
