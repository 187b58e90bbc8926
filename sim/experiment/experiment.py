"""An experiment: the server, its host and the traffic.

Two interpreters read an `Experiment`: `sim.model` predicts it and `reference_app` measures it on
real Gunicorn. Everything here is frozen and validated when it is made; times are in seconds
unless a docstring says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sim.errors import ExperimentError
from sim.experiment.checks import check_whole
from sim.experiment.costs import Costs
from sim.experiment.disturbance import Disturbance, FlagService, Rate, Rollout, Signal
from sim.experiment.host import Host
from sim.experiment.launchdarkly import LaunchDarkly
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.probe import Probe, check_probes
from sim.experiment.proxy import Proxy
from sim.experiment.release_defaults import costs_for, memory_for
from sim.experiment.server import Server
from sim.experiment.traffic import MAX_REQUESTS, Traffic

MAX_DISTURBANCES = 1000


@dataclass(frozen=True, slots=True)
class Experiment:
    """Everything that an interpreter needs to know.

    Attributes:
        server: Gunicorn's settings.
        host: the machine.
        traffic: the requests.
        launchdarkly: the flag service.
        costs: what each step costs on this host. The defaults of any release or worker class
            become those of the server's.
        seed: of every random stream; same experiment and seed, same prediction.
        replications: independent repetitions, each with its own arrivals and demands.
        disturbances: what goes wrong, by time.
        memory: what processes and threads take of the host's memory. The defaults of any worker
            class become those of the server's.
        proxy: what stands between the clients and Gunicorn.
        probes: of the container that the server runs in, by which a kubelet restarts it; none where
            nothing does.
        gc_freeze: whether a hook or the application calls `gc.freeze`, in the master once it has
            what it will share, or in each worker; only memory depends on it.
    """

    server: Server = field(default_factory=Server)
    host: Host = field(default_factory=Host)
    traffic: Traffic = field(default_factory=Traffic)
    launchdarkly: LaunchDarkly = field(default_factory=LaunchDarkly)
    costs: Costs = field(default_factory=Costs)
    seed: int = 1
    replications: int = 10
    disturbances: tuple[Disturbance, ...] = ()
    memory: MemoryCosts = field(default_factory=MemoryCosts)
    proxy: Proxy = field(default_factory=Proxy)
    probes: tuple[Probe, ...] = ()
    gc_freeze: bool = False

    def __post_init__(self) -> None:
        check_whole("seed", self.seed, 0)
        check_whole("replications", self.replications, 1, 10_000)
        server = self.server
        object.__setattr__(self, "costs", costs_for(self.costs, *server.costs_of))
        object.__setattr__(self, "memory", memory_for(self.memory, server.worker_class))
        check_probes(self.probes)
        if len(self.disturbances) > MAX_DISTURBANCES:
            raise ExperimentError(
                f"there are {len(self.disturbances)} disturbances; expected at most "
                f"{MAX_DISTURBANCES}"
            )
        if self.host.rtt and (self.proxy.present or self.server.unix):
            raise ExperimentError(
                f"rtt is {self.host.rtt}, and clients do not connect to Gunicorn's port; expected "
                "no proxy and no Unix socket"
            )
        # A document may have them in any order; ties stay as they were written.
        in_order = tuple(sorted(self.disturbances, key=lambda disturbance: disturbance.at))
        object.__setattr__(self, "disturbances", in_order)
        for disturbance in in_order:
            if isinstance(disturbance, Rate) and self.traffic.arrivals in ("closed", "trace"):
                raise ExperimentError(
                    f"the disturbance at {disturbance.at:g} s changes the rate of "
                    f"{self.traffic.arrivals} arrivals; expected poisson or constant, which have "
                    "one"
                )
            if isinstance(disturbance, FlagService) and not self.launchdarkly.enabled:
                raise ExperimentError(
                    f"the disturbance at {disturbance.at:g} s changes launchdarkly, which is off; "
                    "expected it enabled"
                )
        self._check_rollout()
        if self.traffic.requests is None and len(self.rates) > 1:
            number = self.expected_requests
            if number > MAX_REQUESTS:
                raise ExperimentError(
                    f"the rates of the disturbances make {number:g} requests in "
                    f"{self.traffic.duration:g} s; expected at most {MAX_REQUESTS}"
                )

    def _check_rollout(self) -> None:
        """Refuse what would need a third master, or a second cgroup."""
        rollouts = [it.at for it in self.disturbances if isinstance(it, Rollout)]
        upgrades = [
            it.at for it in self.disturbances if isinstance(it, Signal) and it.signal == "USR2"
        ]
        if len(rollouts) > 1:
            raise ExperimentError(f"there are {len(rollouts)} rollouts; expected at most one")
        if rollouts and upgrades:
            raise ExperimentError(
                f"there are a rollout at {rollouts[0]:g} s and a SIGUSR2 at {upgrades[0]:g} s; "
                "expected one of them"
            )
        if rollouts and self.host.cpu_limit is not None:
            raise ExperimentError(
                f"there are a rollout at {rollouts[0]:g} s and a cpu_limit of "
                f"{self.host.cpu_limit:g}; expected one of them: each pod would have a limit of "
                "its own"
            )

    @property
    def in_kubernetes(self) -> bool:
        """Whether a kubelet looks after the server: it has probes, or is replaced in a rollout."""
        return bool(self.probes) or any(isinstance(it, Rollout) for it in self.disturbances)

    @property
    def expected_requests(self) -> float:
        """Requests of an open loop in one replication; on average, where a duration limits them.

        Fewer than `Traffic.requests` where the last rate is 0, and so many do not come before it.
        """
        requests = self.traffic.requests
        if requests is not None and self.rates[-1][1] > 0:
            return requests
        duration = math.inf if requests is not None else self.traffic.duration
        ends = [*(since for since, _ in self.rates[1:]), duration]
        number = sum(
            rate * max(0.0, min(end, duration) - since)
            for (since, rate), end in zip(self.rates, ends, strict=True)
            if rate
        )
        return number if requests is None else min(number, requests)

    @property
    def rates(self) -> tuple[tuple[float, float], ...]:
        """Pairs of a time, s, and the requests / s of an open loop from then on."""
        changes = (
            (disturbance.at, disturbance.rate)
            for disturbance in self.disturbances
            if isinstance(disturbance, Rate)
        )
        return ((0.0, self.traffic.rate), *changes)

    @property
    def offered_load(self) -> float | None:
        """Mean busy threads that the arrivals ask for (erlang); None for a closed loop.

        Of an open loop it is that of `Traffic.rate`, whatever disturbances make of the rate later.
        """
        traffic = self.traffic
        if traffic.arrivals == "closed":
            return None
        if traffic.arrivals == "trace":
            span = traffic.trace[-1].arrival_s - traffic.trace[0].arrival_s
            work = math.fsum(row.io_s + row.cpu_s for row in traffic.trace)
            if span <= 0:
                return math.inf if work > 0 else 0.0
            return work / span
        return traffic.rate * (traffic.mean_io + traffic.mean_cpu)
