"""Experiments that chance puts together, of which a real server does each here in a few seconds."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from random import Random
from typing import Final

from any_experiment import any_experiment
from host_costs import this_host

from reference_app.rig.nginx import find_nginx
from sim.errors import ExperimentError
from sim.experiment import Experiment, LaunchDarkly, Proxy, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.release import KNOWN, alike
from sim.experiment.worker_class import TRAITS, WORKER_CLASSES, is_in

#: s for which requests come, and s that are waited for their responses, at most.
SECONDS: Final = 3.0
DRAIN: Final = 2.0

#: Numbers of requests: fewer have no distribution.
REQUESTS: Final = (40, 80, 150)

#: Workers at most: each takes a boot on one of a few cores.
WORKERS: Final = 4

#: The newest of the releases that behave alike.
RELEASES: Final = tuple(number for number in KNOWN if alike(number)[-1] == number)

#: What serves, by turns: each worker class on each of these releases that has it.
SERVERS: Final = tuple(
    (worker_class, release)
    for release in reversed(RELEASES)
    for worker_class in WORKER_CLASSES
    if is_in(worker_class, release)
)

#: Further experiments of a number, where one is none that the rig can play.
_NEXT: Final = 1_000_000


def small_experiment(seed: int, number: int) -> Experiment:
    """The experiment of that ``number``: the swarm's, made small, on the server in turn.

    Nothing is done to the server meanwhile, and no kubelet looks after it: `tests/real` judges what
    becomes of trouble.
    """
    for other in count(number, _NEXT):
        try:
            return _small(any_experiment(seed, other), seed, number)
        except ExperimentError:
            continue
    raise AssertionError("one of them is an experiment")


def _small(asked: Experiment, seed: int, number: int) -> Experiment:
    random = Random(f"differential {seed} {number}")
    worker_class, release = SERVERS[number % len(SERVERS)]
    traits = TRAITS[worker_class]
    server = replace(
        asked.server,
        gunicorn=release,
        worker_class=worker_class,
        workers=min(asked.server.workers, WORKERS),
        threads=random.choice((1, 2, 4)) if traits.threads else 1,
        timeout=Server().timeout,
        graceful_timeout=Server().graceful_timeout,
    )
    traffic = _short(asked.traffic, random.choice(REQUESTS))
    if not traits.event_loop:
        traffic = replace(traffic, endpoint=Traffic().endpoint, blocking_io=Traffic().blocking_io)
    proxy = asked.proxy if asked.proxy.kind == "nginx" and find_nginx() else Proxy()
    return Experiment(
        server, this_host(), traffic, LaunchDarkly(), Costs(), seed=number, proxy=proxy,
        replications=1, gc_freeze=asked.gc_freeze,
    )  # fmt: skip


def _short(traffic: Traffic, requests: int) -> Traffic:
    """The traffic with so many requests at most, for `SECONDS` at most."""
    drain = min(traffic.drain, DRAIN)
    if traffic.trace:
        rows = [row for row in traffic.trace[:requests] if row.arrival_s <= SECONDS]
        return replace(traffic, trace=tuple(rows), drain=drain)
    if traffic.arrivals == "closed":
        return replace(traffic, requests=None, duration=SECONDS, drain=drain)
    most = max(1, round(traffic.rate * SECONDS))
    return replace(traffic, requests=min(requests, most), drain=drain)
