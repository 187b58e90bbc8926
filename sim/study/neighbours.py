"""Neighbours of a server: what one changed setting would do to the same requests.

A page of one prediction shows them. `check` has more rules, and `size` searches configurations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sim.experiment import MAX_THREADS, MAX_WORKERS, Experiment, Server
from sim.experiment.release import release
from sim.model.simulation import predict
from sim.reports.progress import progress
from sim.study.compare import Contrast, contrast
from sim.study.compile_hint import requests_of
from sim.study.observation import Observation, observe
from sim.study.parameter import Point, at

#: Replications of each neighbour: the most, and the fewest of which a difference says anything.
REPLICATIONS, FEWEST = 5, 3

#: Requests of all neighbours together, at most: about 10 s of an interpreted model.
MOST_REQUESTS = 400_000

#: Measures that are compared.
MEASURES = ("mean", "p99", "lost")

#: Threads of a pool that takes the place of single-threaded workers.
POOL = 4


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A server that differs in one thing.

    Attributes:
        setting: what is set instead, as ``gunicorn.conf.py`` has it.
        contrasts: of `MEASURES`: a is the server as it is, b the neighbour.
    """

    setting: str
    contrasts: tuple[Contrast, ...]

    def of(self, measure: str) -> Contrast:
        """The contrast of one of `MEASURES`."""
        return next(one for one in self.contrasts if one.measure == measure)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The neighbours of a server, on the same requests.

    Attributes:
        changes: the lowest mean first; empty where none was predicted.
        replications: of each, and of the server as it is.
    """

    changes: tuple[Neighbour, ...] = ()
    replications: int = 0


def neighbours(experiment: Experiment) -> Neighbours:
    """What each neighbour does with the same requests.

    There are none of an experiment with too many requests, or with fewer than `FEWEST`
    replications.
    """
    tried = _experiments(experiment)
    requests = requests_of((experiment,), 1 + len(tried))
    replications = min(experiment.replications, REPLICATIONS)
    if requests > 0:
        replications = min(replications, int(MOST_REQUESTS / requests))
    if replications < FEWEST or not tried:
        return Neighbours()
    runs = replications * (1 + len(tried))
    with progress("predicting neighbours", runs) as done:
        made = iter(range(1, runs + 1))

        def observed(one: Experiment) -> list[Observation]:
            observations = []
            for number in range(replications):
                observations.append(observe(predict(one, number)))
                done(next(made))
            return observations

        now = observed(experiment)
        changes = [_neighbour(setting, now, observed(one)) for setting, one in tried.items()]
    return Neighbours(tuple(sorted(changes, key=_mean)), replications)


def _experiments(experiment: Experiment) -> dict[str, Experiment]:
    """The neighbours by what is set; without those that lack a worker that is disturbed."""
    disturbed = max((getattr(each, "worker", 1) for each in experiment.disturbances), default=1)
    tried = {}
    for point in points(experiment.server):
        one = at(experiment, point)
        if one.server.workers >= min(disturbed, experiment.server.workers):
            tried[_setting(point)] = one
    return tried


def _setting(point: Point) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in point)


def _neighbour(setting: str, now: Sequence[Observation], then: Sequence[Observation]) -> Neighbour:
    return Neighbour(setting, tuple(contrast(measure, now, then) for measure in MEASURES))


def _mean(neighbour: Neighbour) -> float:
    mean = neighbour.of("mean").b
    return math.inf if mean is None else mean.value


def points(server: Server) -> Iterator[Point]:
    """Where the neighbours of a server are: what each sets instead."""
    workers, threads = server.workers, server.threads
    if workers < MAX_WORKERS:
        yield (("workers", workers + 1),)
    if server.traits.event_loop:
        return
    if not server.traits.threads:
        yield ("worker_class", "gthread"), ("threads", POOL)
        return
    if threads < MAX_THREADS:
        yield (("threads", threads + 1),)
    if workers > 1 and workers * threads <= MAX_THREADS:
        yield ("workers", 1), ("threads", workers * threads)
    # Releases that go on to wait at the limit must not have one: `sim.experiment.release_notices`.
    safe = release(server.gunicorn).at_limit == "unregister listener"
    if safe and workers > 1 and server.worker_connections > threads:
        yield (("worker_connections", threads),)
