"""Experiments of every shape, for hypothesis to choose from."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import accumulate
from typing import Any

from hypothesis import strategies as st

from sim.experiment import Experiment, Host, LaunchDarkly, Server, TraceRow, Traffic
from sim.experiment.costs import PARTS, Costs
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import (
    MASTER_SIGNALS,
    WORKER_SIGNALS,
    BootError,
    Crash,
    FlagService,
    Hang,
    Rollout,
    Signal,
)

#: Nothing costs time, and what a test lets cost time costs it always; races stay as they are.
FREE = replace(
    Costs(),
    **{
        cost.name: 1.0 if cost.name in PARTS else 0.0
        for cost in fields(Costs)
        if not cost.name.startswith("wake_")
    },
)


#: Each step longer than the turn that a thread may take on a core.
SLOW = Costs(accept=0.002, request=0.004, respond=0.003, finish=0.002)


def _constant(seconds: float) -> Distribution:
    return Distribution("const", (seconds,))


def _server(listens: tuple[str, bool], **settings: Any) -> Server:  # noqa: ANN401
    bind, reuse_port = listens
    return Server(bind=bind, reuse_port=reuse_port, **settings)


servers = st.builds(
    _server,
    # ``bind`` and ``reuse_port``, which a Unix socket does not have.
    listens=st.sampled_from([(":80", False), (":80", True), ("unix:/x", False)]),
    workers=st.integers(1, 4),
    threads=st.integers(1, 4),
    worker_class=st.sampled_from(["sync", "gthread"]),
    worker_connections=st.integers(1, 8),
    backlog=st.integers(1, 8),
    keepalive=st.integers(0, 2),
    preload_app=st.booleans(),
)
demands = st.one_of(
    st.sampled_from([0.0, 1e-4, 0.004, 0.02, 0.3]).map(_constant),
    st.sampled_from([0.001, 0.05]).map(lambda mean: Distribution("exp", (mean,))),
    st.just(Distribution("uniform", (0.0, 0.02))),
    st.just(Distribution("lognorm", (0.02, 2.0))),
    st.just(Distribution("bimodal", (0.8, 0.0, 0.2))),
)
gaps = st.sampled_from([0.0, 1e-3, 0.03, 0.5, 2.5])
traces = st.lists(
    st.tuples(gaps, st.sampled_from([0.0, 0.01, 0.2]), st.sampled_from([0.0, 1e-3, 0.03])),
    min_size=1,
    max_size=30,
).map(
    lambda rows: tuple(
        TraceRow(arrival, io, cpu)
        for arrival, (_, io, cpu) in zip(accumulate(row[0] for row in rows), rows, strict=True)
    )
)
drains = st.sampled_from([0.0, 0.4, 300.0])
connections = st.sampled_from(["new", "keepalive"])
traffics = st.one_of(
    st.builds(
        Traffic,
        arrivals=st.sampled_from(["poisson", "constant", "closed"]),
        rate=st.sampled_from([1.0, 40.0, 1_000.0]),
        requests=st.integers(1, 40),
        users=st.integers(1, 12),
        think=st.sampled_from([0.0, 0.01, 1.0, 3.0]).map(_constant),
        connection=connections,
        io=demands,
        cpu=demands,
        drain=drains,
    ),
    st.builds(
        Traffic, arrivals=st.just("trace"), trace=traces, connection=connections, drain=drains
    ),
)
experiments = st.builds(
    Experiment,
    server=servers,
    host=st.builds(
        Host,
        cores=st.integers(1, 4),
        somaxconn=st.sampled_from([1, 4096]),
        hz=st.sampled_from([100, 250, 1000]),
        clients=st.sampled_from(["local", "remote"]),
    ),
    traffic=traffics,
    costs=st.sampled_from([Costs(), FREE, Costs(receive=0.02), Costs(finish=0.0, accept=0.01)]),
    seed=st.integers(0, 1_000),
)

#: When things go wrong: while requests come, mostly.
_times = st.floats(0.0, 3.0)
_workers = st.integers(1, 6)
disturbances = st.one_of(
    st.builds(Signal, at=_times, signal=st.sampled_from(MASTER_SIGNALS), to=st.just("master")),
    st.builds(Signal, at=_times, signal=st.sampled_from(WORKER_SIGNALS), worker=_workers),
    st.builds(Crash, at=_times, worker=_workers),
    st.builds(
        Hang,
        at=_times,
        worker=_workers,
        threads=st.integers(1, 4),
        seconds=st.sampled_from([0.5, 4.0, 3600.0]),
    ),
    st.builds(BootError, at=_times, exit_code=st.sampled_from([3, 4])),
    st.builds(
        FlagService,
        at=_times,
        reachable=st.booleans(),
        latency=st.sampled_from([None, 0.0, 0.2, 9.0]),
    ),
)
#: A rollout, and what may go wrong beside it.
_rollouts = st.builds(
    Rollout,
    at=_times,
    pre_stop=st.sampled_from([0.0, 1.0]),
    endpoints=st.sampled_from([0.0, 1.0]),
    termination_grace_period=st.sampled_from([0.0, 3.0]),
)
_during_rollouts = st.tuples(
    _rollouts,
    st.lists(disturbances.filter(lambda it: getattr(it, "signal", "") != "USR2"), max_size=3),
).map(lambda both: (both[0], *both[1]))

#: Clients who may give up, and clients who take their time.
_impatient, _slow = (
    st.builds(
        Traffic,
        arrivals=st.sampled_from(["poisson", "closed"]),
        rate=st.sampled_from([10.0, 200.0]),
        requests=st.integers(1, 60),
        users=st.integers(1, 6),
        think=st.sampled_from([0.0, 0.1]).map(_constant),
        connection=connections,
        io=demands,
        cpu=demands,
        drain=st.sampled_from([0.5, 20.0]),
        retries=st.integers(0, 2),
        retry_delay=st.sampled_from([0.0, 0.3]),
        **patience,
    )
    for patience in (
        {"timeout": st.sampled_from([None, 0.02, 1.0])},
        {
            part: st.sampled_from([0.0, 0.01, 0.7, 6.0]).map(_constant)
            for part in ("first_byte", "body", "read")
        }
        | {"reads_body": st.booleans()},
    )
)
troubled = st.builds(
    Experiment,
    server=st.builds(
        Server,
        workers=st.integers(1, 3),
        threads=st.integers(1, 3),
        worker_class=st.sampled_from(["sync", "gthread"]),
        worker_connections=st.integers(1, 8),
        backlog=st.sampled_from([1, 2048]),
        timeout=st.sampled_from([0, 1, 30]),
        graceful_timeout=st.integers(0, 3),
        keepalive=st.integers(0, 2),
        max_requests=st.sampled_from([0, 0, 1, 5]),
        max_requests_jitter=st.integers(0, 3),
        preload_app=st.booleans(),
        reuse_port=st.booleans(),
    ),
    host=st.builds(Host, cores=st.integers(1, 3)),
    traffic=st.one_of(_impatient, _slow),
    launchdarkly=st.builds(
        LaunchDarkly,
        enabled=st.just(True),
        latency=st.sampled_from([0.0, 0.08]),
        start_wait=st.sampled_from([0.0, 1.0, 5.0]),
        reachable=st.booleans(),
        postfork=st.booleans(),
    ),
    costs=st.sampled_from([Costs(), FREE]),
    seed=st.integers(0, 1_000),
    disturbances=st.one_of(st.lists(disturbances, max_size=4).map(tuple), _during_rollouts),
)
