"""The experiments on which the model is held against the real server, chosen beforehand.

A `Cell` is one level of each factor; `FACTORS` lists the levels. Not every combination is
`possible`, and of those that are, `sample` takes a fixed, space-filling part: it knows nothing of
any result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from operator import eq
from random import Random
from typing import Literal

from sim.experiment import Connection, Experiment, Host, Server, Traffic, WorkerClass
from sim.experiment.distribution import Distribution

Service = Literal["exponential", "constant", "log-normal", "bimodal"]
Demand = Literal["io", "half cpu", "cpu"]
Connections = Literal["default", "threads"]

#: s that a request demands on average: waiting, computing, or half of it each.
MEAN = 0.025

#: s of CPU that a request takes besides: Gunicorn, Flask, and the load generator, which shares the
#: cores. A load of 0.95 of what the bare demands leave would be more than there is.
OVERHEAD = 0.003

#: s during which requests arrive, and how many there are at least.
DURATION = 7.0
FEWEST = 100

#: Each service with a mean of 1; the log-normal's cv is 2, and one bimodal in ten is eleven times
#: as long as the others.
SERVICES: Mapping[Service, Distribution] = {
    "exponential": Distribution("exp", (1.0,)),
    "constant": Distribution("const", (1.0,)),
    "log-normal": Distribution("lognorm", (1.0, 2.0)),
    "bimodal": Distribution("bimodal", (0.9, 0.5, 5.5)),
}

#: How often each pair of a shape and a load is in the sample.
TIMES = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """One experiment of the grid.

    Attributes:
        worker_class: ``sync`` or ``gthread``.
        shape: workers and threads.
        load: part of the capacity that is asked for; see `rate`.
        service: how a request's demand is distributed.
        demand: what of it is I/O, and what is computed.
        connection: ``new`` or ``keepalive``.
        worker_connections: Gunicorn's default, or as many as a worker has threads.
        reuse_port: whether each worker has a listening socket of its own.
    """

    worker_class: WorkerClass
    shape: tuple[int, int]
    load: float
    service: Service
    demand: Demand
    connection: Connection
    worker_connections: Connections
    reuse_port: bool

    @property
    def levels(self) -> tuple[object, ...]:
        """The level of each factor, in the order of `FACTORS`."""
        return tuple(getattr(self, name) for name in FACTORS)

    @property
    def name(self) -> str:
        """All levels, in words."""
        workers, threads = self.shape
        levels = [self.worker_class, f"{workers}x{threads}", f"load {self.load:g}", self.service]
        levels += [self.demand, self.connection]
        levels += ["connections = threads"] if self.worker_connections == "threads" else []
        levels += ["reuse_port"] if self.reuse_port else []
        return ", ".join(levels)

    def rate(self, cores: int) -> float:
        """Requests / s that ask for ``load`` of the capacity.

        That is the smaller one of the threads', each busy for the demand and `OVERHEAD`, and the
        cores', of which one process uses one at a time (the GIL).
        """
        workers, threads = self.shape
        computed = {"io": 0.0, "half cpu": MEAN / 2, "cpu": MEAN}[self.demand]
        by_threads = workers * threads / (MEAN + OVERHEAD)
        by_cores = min(workers, cores) / (computed + OVERHEAD)
        return self.load * min(by_threads, by_cores)

    def experiment(self, host: Host, seed: int) -> Experiment:
        """The cell as an experiment of one replication on ``host``."""
        workers, threads = self.shape
        io, cpu = demands(self.service, self.demand)
        rate = self.rate(host.cores)
        return Experiment(
            Server(
                workers=workers,
                threads=threads,
                worker_class=self.worker_class,
                worker_connections=threads if self.worker_connections == "threads" else 1000,
                preload_app=True,
                reuse_port=self.reuse_port,
            ),
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


def demands(service: Service, demand: Demand) -> tuple[Distribution, Distribution]:
    """Distributions of the I/O and of the CPU of a request, s."""
    whole, half, nothing = (_demand(service, MEAN * part) for part in (1.0, 0.5, 0.0))
    return {"io": (whole, nothing), "half cpu": (half, half), "cpu": (nothing, whole)}[demand]


def _demand(service: Service, mean: float) -> Distribution:
    """The service with another mean, s."""
    if mean == 0:
        return Distribution("const", (0.0,))
    unit = SERVICES[service]
    times = {"lognorm": (0,), "bimodal": (1, 2)}.get(unit.kind, (0,))
    return Distribution(
        unit.kind,
        tuple(
            number * mean if place in times else number
            for place, number in enumerate(unit.parameters)
        ),
    )


#: The levels of every field of `Cell`.
FACTORS: Mapping[str, Sequence[object]] = {
    "worker_class": ("sync", "gthread"),
    "shape": ((1, 1), (1, 4), (2, 1), (2, 2), (2, 4), (4, 1), (4, 2), (8, 1)),
    "load": (0.3, 0.6, 0.8, 0.95),
    "service": tuple(SERVICES),
    "demand": ("io", "half cpu", "cpu"),
    "connection": ("new", "keepalive"),
    "worker_connections": ("default", "threads"),
    "reuse_port": (False, True),
}


def possible(cell: Cell) -> bool:
    """Whether the cell is an experiment of its own.

    ``sync`` has one thread, no `worker_connections`, and closes every connection; a single worker
    has the only listening socket in any case.
    """
    workers, threads = cell.shape
    if cell.worker_class == "sync" and (
        threads > 1 or cell.worker_connections != "default" or cell.connection != "new"
    ):
        return False
    return workers > 1 or not cell.reuse_port


def cells() -> Iterator[Cell]:
    """Every possible cell of the full grid."""
    everything = (Cell(*levels) for levels in product(*FACTORS.values()))  # type: ignore[arg-type]
    return filter(possible, everything)


#: Two levels of two different factors, each with the name of its factor.
Pair = tuple[tuple[str, object], tuple[str, object]]


def pairs(cell: Cell) -> list[Pair]:
    """All pairs of levels that are in the cell."""
    return list(combinations(zip(FACTORS, cell.levels, strict=True), 2))


@cache
def sample(seed: int = 1) -> tuple[Cell, ...]:
    """The cells that are run, `TIMES` for each pair of a shape and a load, in the order to run.

    Greedy: for each shape and load it takes, of the possible cells,

    - the one with the most pairs of levels that are not in the sample yet;
    - of several, the one whose pairs are in it least often;
    - of those, one that differs from every cell so far in most factors.

    The order is random, so that what changes on the machine over half an hour does not change with
    a factor.
    """
    random = Random(f"validation grid {seed}")
    slots = [*product(FACTORS["shape"], FACTORS["load"])] * TIMES
    random.shuffle(slots)
    choices: dict[tuple[object, object], list[Cell]] = {slot: [] for slot in slots}
    for cell in cells():
        choices[cell.shape, cell.load].append(cell)
    seen: Counter[Pair] = Counter()
    chosen: list[Cell] = []
    for slot in slots:
        random.shuffle(choices[slot])
        best = min(choices[slot], key=lambda cell: _badness(cell, seen, chosen))
        chosen.append(best)
        seen.update(pairs(best))
        choices[slot].remove(best)
    return tuple(chosen)


def _badness(cell: Cell, seen: Mapping[Pair, int], chosen: Sequence[Cell]) -> tuple[int, int, int]:
    """How little the cell would add to those ``chosen``, whose pairs were ``seen`` so often."""
    often = [seen[pair] for pair in pairs(cell)]
    levels = cell.levels
    same = (sum(map(eq, levels, other.levels)) for other in chosen)
    return -often.count(0), sum(often), max(same, default=0)
