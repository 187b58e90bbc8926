"""The cells on which each worker class with an event loop is held against the real server.

Every number of workers meets every demand and every kind of connection. The load and the
distribution of each cell are dealt by a seed for each class. All were chosen before any was
measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random
from typing import Final, TypeVar

from sim.experiment import Connection, Experiment, Host, Server, Traffic, WorkerClass
from sim.validation.grid import MEAN, SERVICES, Demand, Service, demands

Level = TypeVar("Level")

#: Classes that have a grid of their own.
CLASSES: Final[tuple[WorkerClass, ...]] = ("gevent", "asgi", "uvicorn")

WORKERS: Final = (1, 2, 4)
DEMANDS: Final[tuple[Demand, ...]] = ("io", "half cpu", "cpu")
CONNECTIONS: Final[tuple[Connection, ...]] = ("new", "keepalive")
LOADS: Final = (0.3, 0.6, 0.8, 0.95)

#: CPU (s) that a request takes besides its demand: of the worker, and of the load generator, which
#: shares the cores. Round numbers above what a calibration finds.
SERVER: Final = 0.002
CLIENT: Final = 0.001

#: Time (s) for which requests arrive, and how many there are at least.
DURATION: Final = 5.0
FEWEST: Final = 100


@dataclass(frozen=True, slots=True)
class ClassCell:
    """One experiment of a class's grid.

    Attributes:
        worker_class: that serves.
        workers: processes.
        load: part of the capacity that is asked for; see `rate`.
        service: how a request's demand is distributed.
        demand: what of it is I/O, and what is computed.
        connection: ``new`` or ``keepalive``.
    """

    worker_class: WorkerClass
    workers: int
    load: float
    service: Service
    demand: Demand
    connection: Connection

    @property
    def name(self) -> str:
        """All levels, in words."""
        plural = "worker" if self.workers == 1 else "workers"
        levels = [self.worker_class, f"{self.workers} {plural}", f"load {self.load:g}"]
        return ", ".join([*levels, self.service, self.demand, self.connection])

    def rate(self, cores: int) -> float:
        """Requests / s that ask for ``load`` of the capacity.

        That is the smaller one of the workers', each of which has one thread, and the cores', which
        the load generator shares.
        """
        computed = {"io": 0.0, "half cpu": MEAN / 2, "cpu": MEAN}[self.demand] + SERVER
        return self.load * min(self.workers / computed, cores / (computed + CLIENT))

    def experiment(self, host: Host, seed: int) -> Experiment:
        """The cell as an experiment of one replication on ``host``."""
        rate = self.rate(host.cores)
        io, cpu = demands(self.service, self.demand)
        return Experiment(
            Server(workers=self.workers, worker_class=self.worker_class, preload_app=True),
            host,
            Traffic(
                rate=rate,
                requests=max(FEWEST, round(rate * DURATION)),
                connection=self.connection,
                io=io,
                cpu=cpu,
            ),
            seed=seed,
            replications=1,
        )


@cache
def class_cells(worker_class: WorkerClass, seed: int = 1) -> tuple[ClassCell, ...]:
    """The cells of a class, in the order to run them.

    The order is random, so that what changes on the machine over the time of a validation does not
    change with a factor.

    Args:
        worker_class: that serves.
        seed: deals loads and distributions; the model was mended for what 1 has shown.
    """
    random = Random(f"class grid {worker_class}" + ("" if seed == 1 else f" {seed}"))
    levels = list(product(WORKERS, DEMANDS, CONNECTIONS))
    random.shuffle(levels)
    loads = _dealt(random, LOADS, len(levels))
    services = _dealt(random, tuple(SERVICES), len(levels))
    return tuple(
        ClassCell(worker_class, workers, load, service, demand, connection)
        for (workers, demand, connection), load, service in zip(
            levels, loads, services, strict=True
        )
    )


def _dealt(random: Random, levels: Sequence[Level], number: int) -> list[Level]:
    """Each level as often as the others, but for one, in random order."""
    dealt = [levels[place % len(levels)] for place in range(number)]
    random.shuffle(dealt)
    return dealt
