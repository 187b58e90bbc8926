"""The cells on which the model's CPU limit is held against the kernel's, chosen beforehand.

Every limit with every worker class, for requests that mostly wait and requests that only compute.
The load, the distribution and whether quiet periods save a burst follow from a hash of those names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from itertools import product
from typing import Final, Literal

from sim.experiment import Experiment, Host, Server, Traffic, WorkerClass
from sim.experiment.distribution import Distribution
from sim.experiment.host import CPU_PERIOD
from sim.validation.grid import DURATION, FEWEST, OVERHEAD, SERVICES, Service

Demand = Literal["light", "heavy"]

LIMITS: Final = (0.25, 0.5, 1.0, 1.5)
CLASSES: Final[tuple[WorkerClass, ...]] = ("sync", "gthread")
DEMANDS: Final[tuple[Demand, ...]] = ("light", "heavy")

#: Part of the limit, or of the threads where those are fewer, that the requests ask for.
LOADS: Final = (0.5, 0.75)

#: How a request's demand is distributed.
DISTRIBUTIONS: Final[tuple[Service, ...]] = ("exponential", "constant", "bimodal")

#: Part of a period's quota that quiet periods may save up.
BURSTS: Final = (0.0, 0.5)

#: s that a request waits and computes on average.
TIMES: Final = {"light": (0.04, 0.003), "heavy": (0.0, 0.06)}

#: Workers and threads of each class.
SHAPES: Final = {"sync": (4, 1), "gthread": (2, 4)}


@dataclass(frozen=True, slots=True)
class LimitedCell:
    """A server with a CPU limit, and its traffic.

    Attributes:
        limit: cores' worth of CPU.
        worker_class: ``sync`` or ``gthread``.
        demand: ``light`` requests mostly wait, ``heavy`` ones only compute.
        load: see `LOADS`.
        service: how the demand is distributed.
        burst: see `BURSTS`.
    """

    limit: float
    worker_class: WorkerClass
    demand: Demand
    load: float
    service: Service
    burst: float

    @property
    def name(self) -> str:
        """All levels, in words."""
        workers, threads = SHAPES[self.worker_class]
        levels = [f"limit {self.limit:g}", self.worker_class, f"{workers}x{threads}"]
        levels += [f"load {self.load:g}", self.service, self.demand]
        return ", ".join([*levels, f"burst {self.burst:g}"] if self.burst else levels)

    def experiment(self, host: Host, seed: int) -> Experiment:
        """The cell as an experiment of one replication on ``host``."""
        workers, threads = SHAPES[self.worker_class]
        io, cpu = TIMES[self.demand]
        by_limit = self.limit / (cpu + OVERHEAD)
        by_threads = workers * threads / (io + cpu + OVERHEAD)
        rate = self.load * min(by_limit, by_threads)
        return Experiment(
            Server(
                workers=workers,
                threads=threads,
                worker_class=self.worker_class,
                preload_app=True,
            ),
            replace(
                host,
                cpu_limit=self.limit,
                cpu_burst=self.burst * self.limit * CPU_PERIOD if self.burst else None,
            ),
            Traffic(
                rate=rate,
                requests=max(FEWEST // 2, round(rate * DURATION)),
                io=self._demand(io),
                cpu=self._demand(cpu),
            ),
            seed=seed,
            replications=1,
        )

    def _demand(self, mean: float) -> Distribution:
        """The service with another mean, s."""
        if mean == 0:
            return Distribution("const", (0.0,))
        unit = SERVICES[self.service]
        first, *rest = unit.parameters
        if unit.kind == "bimodal":
            return Distribution(unit.kind, (first, *(mean * number for number in rest)))
        return Distribution(unit.kind, (mean * first,))


@cache
def limited() -> tuple[LimitedCell, ...]:
    """The cells, in the order to run them."""
    cells = []
    for limit, worker_class, demand in product(LIMITS, CLASSES, DEMANDS):
        digest = sha256(f"limit {limit:g}, {worker_class}, {demand}".encode()).digest()
        cells.append(
            LimitedCell(
                limit,
                worker_class,
                demand,
                LOADS[digest[0] % len(LOADS)],
                DISTRIBUTIONS[digest[1] % len(DISTRIBUTIONS)],
                BURSTS[digest[2] % len(BURSTS)],
            )
        )
    return tuple(cells)
