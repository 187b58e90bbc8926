"""Experiments of all that can be said, put together by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
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
from sim.experiment import Experiment, LaunchDarkly, Proxy, Route, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution

#: Numbers of requests: a few find what happens at a beginning or an end, many what happens between.
REQUESTS: Final = (1, 2, 5, 15, 40, 40, 120)

#: Fields of `Costs`: steps in which other things may happen.
LONG_STEPS: Final = (
    *("accept", "boot", "connect", "exit", "finalize", "finish", "kill", "postfork", "receive"),
    *("reload", "request", "respond", "send", "sync_finish"),
)

#: Fields of `Costs` that are probabilities: of who wins the race for a connection.
RACES: Final = tuple(field.name for field in fields(Costs) if field.name.startswith("wake_"))

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
    """A quick and a slow route, and sometimes one whose requests another server gets."""
    traffic, share = asked.traffic, (0.05, 0.3)[number % 2]
    if traffic.trace:
        names = ("/quick", "/slow", "")
        rows = (
            replace(row, route=names[place * number % len(names)])
            for place, row in enumerate(traffic.trace)
        )
        return replace(asked, traffic=replace(traffic, trace=tuple(rows)))
    quick, slow = Distribution("const", (0.001,)), Distribution("exp", (0.2,))
    blocks = number // 4 % 3 if asked.server.traits.event_loop else 0
    elsewhere = 0.25 * (number // 12 % 3 == 0 and traffic.arrivals != "closed")
    routes = (
        Route(
            "/quick",
            1 - share - elsewhere,
            io=quick,
            endpoint=(None, "def", "async")[blocks],
            blocking_io=(None, None, 0.5)[blocks],
        ),
        Route("/slow", share, io=slow, cpu=(quick, slow)[number // 2 % 2]),
        *([Route("/elsewhere", elsewhere, io=slow, elsewhere=True)] if elsewhere else []),
    )
    plain = Traffic()
    # Each route has a demand of its own.
    traffic = replace(traffic, io=plain.io, cpu=plain.cpu, routes=routes)
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


def _far_away(asked: Experiment, number: int) -> Experiment:
    """Clients from which a packet takes some time."""
    host = replace(asked.host, clients="remote", rtt=(0.0005, 0.02, 0.2)[number % 3])
    return replace(asked, host=host)


def _for_a_time(asked: Experiment, number: int) -> Experiment:
    """As many requests as come in some time."""
    if asked.traffic.trace:
        return asked
    traffic = replace(asked.traffic, requests=None, duration=(0.02, 0.2, 1.0)[number % 3])
    return replace(asked, traffic=traffic)


def _frozen(asked: Experiment, number: int) -> Experiment:
    del number
    server = replace(asked.server, preload_app=True)
    return replace(asked, server=server, gc_freeze=True)


def _near_limits(asked: Experiment, number: int) -> Experiment:
    """Limits that a few requests reach: of connections, of requests, and of patience."""
    server = replace(
        asked.server,
        worker_connections=(1, 2, 3)[number % 3],
        graceful_timeout=number // 3 % 4,
        max_requests=(0, 1, 5)[number // 12 % 3],
    )
    return replace(asked, server=server)


def _with_few_at_once(asked: Experiment, number: int) -> Experiment:
    """A worker that refuses what comes beside a few others; of one class only."""
    server = replace(asked.server, limit_concurrency=(1, 2, 5)[number % 3])
    return replace(asked, server=server)


def _with_costly_probes(asked: Experiment, number: int) -> Experiment:
    """Probes that take time, begin late, and end what fails at once."""
    took = Distribution("const", ((0.0, 0.02, 0.2)[number % 3],))
    probes = tuple(
        replace(
            probe,
            io=took,
            cpu=(took, Distribution("const", (0.0,)))[number // 3 % 2],
            initial_delay=(0.0, 0.7)[number // 6 % 2],
            **(
                {"success_threshold": 2}
                if probe.kind == "readiness"
                else {"termination_grace_period": (0.0, 1.0)[number // 12 % 2]}
            ),
        )
        for probe in asked.probes
    )
    return replace(asked, probes=probes)


def _with_long_step(asked: Experiment, number: int) -> Experiment:
    """A step of Gunicorn's, of Python's or of a client's is long enough for trouble meanwhile."""
    step = LONG_STEPS[number % len(LONG_STEPS)]
    seconds = (0.002, 0.05, 0.5)[number // len(LONG_STEPS) % 3]
    return replace(asked, costs=replace(asked.costs, **{step: seconds}))


def _with_sure_race(asked: Experiment, number: int) -> Experiment:
    """What decides who wins a connection always happens, or never."""
    name = RACES[number % len(RACES)]
    return replace(asked, costs=replace(asked.costs, **{name: float(number // len(RACES) % 2)}))


def _with_slow_clients(asked: Experiment, number: int) -> Experiment:
    """Clients that take longer than a worker waits, with any part of what they do."""
    if asked.traffic.timeout is not None:
        return asked
    parts = ("first_byte", "body", "read")
    late = {
        part: Distribution("const", ((0.0, 0.7, 6.0)[number // 3**place % 3],))
        for place, part in enumerate(parts)
    }
    return replace(asked, traffic=replace(asked.traffic, **late))  # type: ignore[arg-type]


def _with_flag_service(asked: Experiment, number: int) -> Experiment:
    """Every way in which a flag service delays a boot."""
    launchdarkly = LaunchDarkly(
        enabled=number % 4 > 0,
        latency=(0.0, 0.08)[number // 4 % 2],
        start_wait=(0.0, 1.0, 5.0)[number // 8 % 3],
        reachable=number // 24 % 4 > 0,
        postfork=number // 96 % 4 > 0,
    )
    return replace(asked, launchdarkly=launchdarkly)


def _passing(asked: Experiment, number: int) -> Experiment:
    """Without what keeps requests from being counted and forgotten; see `sim.run.arrivals`."""
    del number
    plain, traffic = Traffic(), asked.traffic
    if traffic.arrivals in ("closed", "trace"):
        return asked
    traffic = replace(
        traffic,
        timeout=None,
        retries=0,
        first_byte=plain.first_byte,
        body=plain.body,
        read=plain.read,
        routes=(),
    )
    return replace(asked, traffic=traffic, disturbances=(), probes=(), proxy=Proxy())


#: Each with the part of the experiments that it is tried on.
CHANGES: Final[tuple[tuple[Change, float], ...]] = (
    (on_older_release, 0.4),
    (with_cpu_limit, 0.2),
    (_with_routes, 0.2),
    (_on_other_host, 0.4),
    (_on_unix_socket, 0.1),
    (_far_away, 0.2),
    (_for_a_time, 0.1),
    (behind_proxy, 0.2),
    (with_probes, 0.2),
    (_with_costly_probes, 0.5),
    (_frozen, 0.1),
    (_near_limits, 0.2),
    (_with_few_at_once, 0.3),
    (_with_long_step, 0.2),
    (_with_sure_race, 0.2),
    (_with_slow_clients, 0.1),
    (_with_flag_service, 0.2),
    # The last: it takes away what others have added.
    (_passing, 0.15),
)
