"""The machine that the server runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.errors import ExperimentError
from sim.experiment.checks import check_choice, check_number, check_whole

Clients = Literal["local", "remote"]


CLIENTS: tuple[Clients, ...] = ("local", "remote")

#: What CONFIG_HZ can be on x86 and ARM (kernel/Kconfig.hz).
HZ: tuple[int, ...] = (100, 250, 300, 1000)


#: Fewest cores' worth of CPU that a limit may be: the kernel refuses a quota below 1 ms for each
#: 100 ms (``min_cfs_quota_period``, kernel/sched/core.c).
LEAST_CPU_LIMIT = 0.01

#: s in which a CPU limit's quota is used up and filled again: the kernel's default, Docker's and
#: Kubernetes'.
CPU_PERIOD = 0.1


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
        cpu_limit: cores' worth of CPU that the server's processes may use together, as ``docker
            --cpus`` and Kubernetes' ``limits.cpu`` set it: CFS bandwidth, ``cpu.max``. ``cores``
            stays what the machine has. None without a limit.
        cpu_burst: s of CPU that quiet periods can save up beyond the limit's quota
            (``cpu.max.burst``); None is 0.
        rtt: s that a packet takes to remote clients and back; None is 0. A new connection takes one
            until the client may send, and the request and its response another one.
    """

    cores: int = 2
    somaxconn: int = 4096
    clients: Clients = "local"
    hz: int = 250
    cpu_limit: float | None = None
    cpu_burst: float | None = None
    rtt: float | None = None

    def __post_init__(self) -> None:
        check_whole("cores", self.cores, 1, 4096)
        check_whole("somaxconn", self.somaxconn, 1)
        check_choice("clients", self.clients, CLIENTS)
        if self.hz not in HZ:
            expected = ", ".join(map(str, HZ))
            raise ExperimentError(f"hz is {self.hz}; expected one of {expected}")
        self._check_cpu_limit()
        if self.rtt is not None:
            check_number("rtt", self.rtt, 0)
            if self.rtt and self.clients != "remote":
                raise ExperimentError(
                    f"rtt is {self.rtt} and clients is {self.clients!r}; expected 'remote', for "
                    "there is no network to clients on the same machine"
                )

    def _check_cpu_limit(self) -> None:
        limit, burst = self.cpu_limit, self.cpu_burst
        if limit is not None:
            check_number("cpu_limit", limit, LEAST_CPU_LIMIT)
        if burst is None:
            return
        if limit is None:
            raise ExperimentError(f"cpu_burst is {burst}; expected a cpu_limit that it is beyond")
        check_number("cpu_burst", burst, 0)
        quota = limit * CPU_PERIOD
        if burst > quota:
            raise ExperimentError(
                f"cpu_burst is {burst}; expected at most the quota, which the kernel takes: "
                f"{quota:g} s of each {CPU_PERIOD:g} s"
            )
