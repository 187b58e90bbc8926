"""The configurations that a search may choose from, the smallest first.

Smaller is: less memory; then fewer processes; then fewer threads in all; then fewer departures
from Gunicorn's defaults. Without a word on memory, the processes come first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sim.errors import ExperimentError
from sim.experiment import Experiment, Host, Server
from sim.experiment.worker_class import TRAITS, USUAL_CLASSES, WorkerClass, is_in
from sim.study.parameter import Point, Value

#: bytes that the server of an experiment takes at most.
Memory = Callable[[Experiment], float]

#: The settings that a search chooses, in the order of a `sim.study.parameter.Point`.
SEARCHED = (
    "worker_class",
    "workers",
    "threads",
    "worker_connections",
    "reuse_port",
    "max_requests",
)

#: Threads of a worker that are looked at unless ``--over`` says others.
THREADS = (*range(1, 17), 20, 24, 32, 40, 48, 64)

#: Configurations, at most.
MOST_CANDIDATES = 20_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """One configuration.

    Attributes:
        server: all of Gunicorn's settings.
        memory: bytes that it takes at most; None where nobody knows.
    """

    server: Server
    memory: float | None

    @property
    def point(self) -> Point:
        """Where in the space of `SEARCHED` it is."""
        return tuple((name, getattr(self.server, name)) for name in SEARCHED)

    @property
    def size(self) -> tuple[float, ...]:
        """What it is ordered by."""
        server, default = self.server, Server()
        departures = sum(
            getattr(server, name) != getattr(default, name)
            for name in ("worker_class", "worker_connections", "reuse_port", "max_requests")
        )
        return (
            self.memory or 0.0,
            server.workers,
            server.concurrency,
            departures,
            # For one order among equals.
            server.worker_connections,
            server.reuse_port,
            server.max_requests,
        )


def default_workers(host: Host) -> tuple[int, ...]:
    """Numbers of workers that are looked at unless ``--over`` says others.

    Up to 2 x cores + 1, which Gunicorn's documentation advises (design.rst, "How Many Workers?").
    A CPU limit counts as so many cores, rounded up: more workers only take turns at it.
    """
    cores = host.cores
    if host.cpu_limit is not None:
        cores = min(cores, math.ceil(host.cpu_limit))
    return tuple(range(1, 2 * cores + 2))


def candidates(
    base: Experiment,
    chosen: Mapping[str, Sequence[Value]],
    *,
    memory: Memory | None = None,
    most_memory: float | None = None,
) -> tuple[Candidate, ...]:
    """All configurations within the limits, the smallest first.

    Settings that make no difference are not varied: a single worker's listening socket is its
    own, sync workers hold one connection, and event loops have no threads.

    Args:
        base: everything but the searched settings.
        chosen: values of searched settings, where they are not to be the usual ones.
        memory: see `Memory`.
        most_memory: bytes that there are.

    Raises:
        ExperimentError: when there is none, or too many to try.
    """
    values: dict[str, Sequence[Value]] = {
        "worker_class": _classes(base.server),
        "workers": default_workers(base.host),
        "threads": THREADS,
        "reuse_port": (False,) if base.server.unix else (False, True),
        "max_requests": (base.server.max_requests,),
        **chosen,
    }
    count = math.prod(len(options) for options in values.values())
    if count > MOST_CANDIDATES:
        raise ExperimentError(
            f"there are {count} configurations to try; expected at most {MOST_CANDIDATES}"
        )
    connections = values.pop("worker_connections", None)
    within_limits: dict[Candidate, None] = {}
    for row in itertools.product(*values.values()):
        changes: dict[str, Any] = dict(zip(values, row, strict=True))
        if TRAITS[changes["worker_class"]].event_loop:
            changes["threads"] = 1
        server = replace(base.server, **changes)
        if server.workers == 1 and False in values["reuse_port"]:
            server = replace(server, reuse_port=False)
        for number in _connections(server) if connections is None else connections:
            one = replace(server, worker_connections=int(number))
            needed = None if memory is None else memory(replace(base, server=one))
            within_limits[Candidate(one, needed)] = None
    if most_memory is not None:
        return _within(list(within_limits), most_memory)
    return tuple(sorted(within_limits, key=_size))


def _classes(server: Server) -> tuple[WorkerClass, ...]:
    """The worker classes that are looked at unless ``--over`` says others.

    They run the application, and need no package but those of the class that it has now.
    """
    if not server.traits.asgi:
        return USUAL_CLASSES
    classes: tuple[WorkerClass, ...] = ("asgi", server.worker_class)
    return tuple(dict.fromkeys(name for name in classes if is_in(name, server.gunicorn)))


def _connections(server: Server) -> tuple[int, ...]:
    """The values of ``worker_connections`` that are looked at unless ``--over`` says others.

    To take what it cannot run yet, or not: what one worker leaves, another one takes.
    """
    usual = server.worker_connections
    if not server.traits.threads or server.workers == 1 or usual <= server.threads:
        return (usual,)
    return usual, server.threads


def _within(within_limits: Sequence[Candidate], most_memory: float) -> tuple[Candidate, ...]:
    within = [one for one in within_limits if one.memory is not None and one.memory <= most_memory]
    if not within:
        least = min(
            (one.memory for one in within_limits if one.memory is not None), default=math.inf
        )
        raise ExperimentError(
            f"memory is {most_memory / 1e6:,.0f} MB, and the smallest configuration takes "
            f"{least / 1e6:,.0f} MB; expected at least that"
        )
    return tuple(sorted(within, key=_size))


def _size(candidate: Candidate) -> tuple[float, ...]:
    return candidate.size
