"""Experiments of every shape, drawn from seeds: the same ones with every release of every library.

Hypothesis looks for what it has not tried yet, so what its examples run is chance. These are for
what has to be run every time: combinations of settings, clients and trouble that meet in moments
which no test has by itself.
"""

from __future__ import annotations

from dataclasses import fields, replace
from random import Random

from sim.experiment import (
    WORKER_CLASSES,
    Experiment,
    Host,
    LaunchDarkly,
    Probe,
    Proxy,
    Server,
    Traffic,
)
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import (
    MASTER_SIGNALS,
    WORKER_SIGNALS,
    BootError,
    Crash,
    Disturbance,
    FlagService,
    Hang,
    Signal,
)
from sim.experiment.worker_class import is_in

RELEASES = ("20.1.0", "21.2.0", "23.0.0", "24.1.1", "27.0.1")

#: Costs that are long enough, s, for something to happen meanwhile.
LONG = (0.002, 0.05, 0.5)
STEPS = (
    *("accept", "boot", "connect", "exit", "finalize", "finish", "kill", "postfork", "receive"),
    *("reload", "request", "respond", "send", "sync_finish"),
)


def experiment(seed: int) -> Experiment:
    """The experiment of a seed: a few seconds of traffic, and up to four things that go wrong."""
    random = Random(f"swarm {seed}")
    troubles = tuple(_disturbance(random) for _ in range(random.choice((0, 1, 2, 4))))
    return Experiment(
        _server(random),
        _host(random),
        _traffic(random),
        launchdarkly=LaunchDarkly(
            enabled=random.random() < 0.5 or any(it.kind == "launchdarkly" for it in troubles),
            latency=random.choice((0.0, 0.08)),
            start_wait=random.choice((0.0, 1.0, 5.0)),
            reachable=random.random() < 0.8,
            postfork=random.random() < 0.7,
        ),
        costs=_costs(random),
        proxy=_proxy(random),
        probes=_probes(random),
        disturbances=troubles,
        seed=seed,
        replications=1,
    )


def _server(random: Random) -> Server:
    worker_class = random.choice(("sync", "gthread", "gthread", *WORKER_CLASSES))
    release = random.choice([it for it in RELEASES if is_in(worker_class, it)])
    is_newer = release in RELEASES[3:]
    unix = random.random() < 0.15
    return Server(
        workers=random.randint(1, 3),
        threads=random.randint(1, 3) if worker_class == "gthread" else 1,
        worker_class=worker_class,
        worker_connections=random.choice((1, 2, 3, 8, 1000)),
        backlog=random.choice((1, 3, 2048)),
        # A master before 24.1 would kill workers that take longer than 1 s to boot.
        timeout=random.choice((0, 30, 1) if is_newer else (0, 30)),
        graceful_timeout=random.randint(0, 3),
        keepalive=random.randint(0, 2),
        max_requests=random.choice((0, 0, 1, 5)),
        max_requests_jitter=random.randint(0, 3),
        preload_app=random.random() < 0.5,
        reuse_port=not unix and random.random() < 0.3,
        bind="unix:/tmp/gunicorn.sock" if unix else "127.0.0.1:8000",
        limit_concurrency=(
            random.choice((None, None, 1, 3, 8)) if worker_class == "uvicorn" else None
        ),
        gunicorn=release,
    )


def _host(random: Random) -> Host:
    cores = random.randint(1, 3)
    if random.random() < 0.7:
        return Host(cores=cores, clients=random.choice(("local", "remote")))
    return Host(cores=cores, cpu_limit=random.choice((0.05, 0.2, 0.5, 1.5)))


def _traffic(random: Random) -> Traffic:
    demands = ("const:0", "const:0.004", "exp:0.05", "uniform:0,0.02", "bimodal:0.8,0,0.2")
    traffic = Traffic(
        arrivals=random.choice(("poisson", "constant", "closed")),
        rate=random.choice((10.0, 40.0, 200.0)),
        requests=random.randint(1, 60),
        users=random.randint(1, 6),
        think=Distribution("const", (random.choice((0.0, 0.1, 1.0)),)),
        connection=random.choice(("new", "keepalive")),
        io=Distribution.parse(random.choice(demands)),
        cpu=Distribution.parse(random.choice(demands)),
        drain=random.choice((0.5, 20.0)),
    )
    kind = random.choice(("patient", "impatient", "slow"))
    if kind == "impatient":
        return replace(
            traffic,
            timeout=random.choice((0.02, 0.3, 1.0)),
            retries=random.randint(0, 2),
            retry_delay=random.choice((0.0, 0.3)),
        )
    if kind == "slow":
        times = ("const:0", "const:0.01", "const:0.7", "const:6")
        return replace(
            traffic,
            first_byte=Distribution.parse(random.choice(times)),
            body=Distribution.parse(random.choice(times)),
            read=Distribution.parse(random.choice(times)),
            reads_body=random.random() < 0.5,
        )
    return traffic


def _costs(random: Random) -> Costs:
    costs = Costs()
    if random.random() < 0.3:
        names = [cost.name for cost in fields(Costs) if cost.name in STEPS]
        return replace(costs, **{random.choice(names): random.choice(LONG)})
    return costs


def _proxy(random: Random) -> Proxy:
    kind = random.choice(("none", "none", "nginx", "alb"))
    if kind == "none":
        return Proxy()
    return Proxy(
        kind,  # type: ignore[arg-type]
        keepalive=random.choice((0, 1, 3)),
        idle_timeout=random.choice((0.5, 60.0)),
        connect_timeout=random.choice((None, 0.3)),
        read_timeout=random.choice((0.2, 2.0, 60.0)),
    )


def _probes(random: Random) -> tuple[Probe, ...]:
    kinds = random.choice(((), (), ("liveness",), ("readiness",), ("startup", "liveness")))
    grace_period = random.choice((0.2, 2.0))
    return tuple(
        Probe(
            kind,  # type: ignore[arg-type]
            period=random.choice((0.2, 1.0)),
            timeout=random.choice((0.1, 0.7)),
            failure_threshold=random.randint(1, 3),
            **({} if kind == "readiness" else {"termination_grace_period": grace_period}),  # type: ignore[arg-type]
        )
        for kind in kinds
    )


def _disturbance(random: Random) -> Disturbance:
    at, worker = random.uniform(0.0, 3.0), random.randint(1, 4)
    match random.choice(("master", "worker", "worker", "crash", "hang", "boot", "flags")):
        case "master":
            return Signal(at, random.choice(MASTER_SIGNALS), to="master")
        case "worker":
            return Signal(at, random.choice(WORKER_SIGNALS), worker=worker)
        case "crash":
            return Crash(at, worker=worker)
        case "hang":
            seconds = random.choice((0.5, 4.0, 3600.0))
            return Hang(at, worker=worker, threads=random.randint(1, 3), seconds=seconds)
        case "boot":
            return BootError(at, exit_code=random.choice((3, 4)))
        case _:
            latency = random.choice((None, 0.0, 0.2, 9.0))
            return FlagService(at, reachable=random.random() < 0.5, latency=latency)
