"""Experiments of all that can be said, put together by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from fingerprints import (
    behind_proxy,
    drawn,
    on_older_release,
    with_cpu_limit,
    with_probes,
)

from sim.errors import ExperimentError
from sim.experiment import Experiment, Route, Traffic
from sim.experiment.distribution import Distribution

#: Numbers of requests: a few find what happens at a beginning or an end, many what happens between.
REQUESTS: Final = (1, 2, 5, 15, 40, 40, 120)

#: Changes one thing of an experiment, by the number that it is given.
Change = Callable[[Experiment, int], Experiment]


def any_experiment(seed: int, number: int) -> Experiment:
    """The experiment of that ``number`` in the swarm of that ``seed``.

    Each change is made to a part of the experiments. Where one does not go with what is there
    already, such as a proxy of the kind ``alb`` with a Unix socket, it is left out.
    """
    random = Random(f"swarm {seed} {number}")
    asked = _shorter(drawn(random.randrange(10**9)), random)
    for change, part in CHANGES:
        if random.random() < part:
            try:
                asked = change(asked, random.randrange(10**6))
            except ExperimentError:
                continue
    return asked


def _shorter(asked: Experiment, random: Random) -> Experiment:
    traffic, number = asked.traffic, random.choice(REQUESTS)
    if traffic.trace:
        return replace(asked, traffic=replace(traffic, trace=traffic.trace[:number]))
    return replace(asked, traffic=replace(traffic, requests=number))


def _with_routes(asked: Experiment, number: int) -> Experiment:
    """A mix of a quick and a slow kind of request."""
    if asked.traffic.trace:
        return asked
    share = (0.05, 0.3)[number % 2]
    quick, slow = Distribution("const", (0.001,)), Distribution("exp", (0.2,))
    routes = (
        Route("/quick", 1 - share, io=quick),
        Route("/slow", share, io=slow, cpu=(quick, slow)[number // 2 % 2]),
    )
    plain = Traffic()
    # Each route has a demand of its own.
    traffic = replace(asked.traffic, io=plain.io, cpu=plain.cpu, routes=routes)
    return replace(asked, traffic=traffic)


def _on_unix_socket(asked: Experiment, number: int) -> Experiment:
    del number
    return replace(asked, server=replace(asked.server, bind="unix:/swarm", reuse_port=False))


def _on_other_host(asked: Experiment, number: int) -> Experiment:
    """Other sizes of the host, and of its accept queues."""
    host = replace(
        asked.host,
        somaxconn=(1, 8, 4096)[number % 3],
        hz=(100, 250, 1000)[number // 3 % 3],
        cores=(1, 2, 3, 8)[number // 9 % 4],
    )
    return replace(asked, host=host)


def _frozen(asked: Experiment, number: int) -> Experiment:
    del number
    server = replace(asked.server, preload_app=True)
    return replace(asked, server=server, gc_freeze=True)


#: Each with the part of the experiments that it is tried on.
CHANGES: Final[tuple[tuple[Change, float], ...]] = (
    (on_older_release, 0.4),
    (with_cpu_limit, 0.2),
    (_with_routes, 0.2),
    (_on_other_host, 0.4),
    (_on_unix_socket, 0.1),
    (behind_proxy, 0.2),
    (with_probes, 0.2),
    (_frozen, 0.1),
)
