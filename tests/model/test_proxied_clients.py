"""The proxy of the model: what it keeps, waits for, retries and answers itself."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import outcome_counts

from sim.analysis.summary import summarize
from sim.experiment import Experiment, LaunchDarkly, Proxy, Server, TraceRow, Traffic
from sim.experiment.costs import PARTS, Costs
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Disturbance, Rate, Signal
from sim.model import predict

FREE = Costs(**{cost.name: 1.0 if cost.name in PARTS else 0.0 for cost in fields(Costs)})

GTHREAD = Server(workers=2, threads=2, worker_class="gthread")


def trace(*rows: tuple[float, float]) -> Traffic:
    return Traffic(arrivals="trace", trace=tuple(TraceRow(at, io, 0.0) for at, io in rows))


def experiment(proxy: Proxy, traffic: Traffic, server: Server = GTHREAD) -> Experiment:
    return Experiment(
        server,
        traffic=traffic,
        proxy=proxy,
        costs=FREE,
        launchdarkly=LaunchDarkly(enabled=False),
        replications=1,
    )


@pytest.mark.parametrize("proxy", [Proxy(kind="nginx"), Proxy(kind="alb", keepalive=0)])
def test_without_costs_a_proxy_changes_nothing(proxy: Proxy) -> None:
    """One sync worker is M/M/1 with or without nginx in front, at the same times."""
    traffic = Traffic(rate=40, requests=2_000, io=Distribution("exp", (0.02,)))
    server = Server(workers=1, worker_class="sync")
    behind = predict(experiment(proxy, traffic, server))
    direct = predict(experiment(Proxy(), traffic, server))
    assert behind.requests.finished == pytest.approx(direct.requests.finished, abs=1e-9)
    mean = sum(
        finished - arrival
        for arrival, finished in zip(behind.requests.arrival, behind.requests.finished, strict=True)
    ) / len(behind.requests)
    assert mean == pytest.approx(0.02 / (1 - 0.8), rel=0.25)


def test_slow_clients_hold_no_thread() -> None:
    """Both the upload and the reading of the response are the proxy's affair."""
    slow = Distribution("const", (3.0,))
    rows = [(0.0, 0.1), (0.0, 0.1), (0.0, 0.1)]
    server = Server(workers=1, worker_class="sync")
    traffic = replace(trace(*rows), body=slow, read=slow)
    run = predict(experiment(Proxy(kind="nginx"), traffic, server))
    assert sorted(run.requests.finished) == pytest.approx([6.1, 6.2, 6.3], abs=1e-6)
    direct = predict(experiment(Proxy(), traffic, server))
    assert max(direct.requests.finished) > 9


def test_read_timeout_is_504_then_and_the_work_goes_on() -> None:
    server = Server(workers=1, worker_class="sync")
    proxy = Proxy(kind="nginx", read_timeout=1.0)
    run = predict(experiment(proxy, trace((0.0, 2.5), (0.5, 0.1), (2.0, 0.1)), server))
    assert outcome_counts(run) == {"gateway_timeout": 2, "ok": 1}
    # The second waits behind the first, and both are run; the third waits for them.
    assert list(run.requests.finished) == pytest.approx([1.0, 1.5, 2.7], abs=1e-6)


def test_connect_timeout_is_504_and_the_read_timeout_begins_when_connected() -> None:
    server = Server(workers=1, worker_class="sync", backlog=1)
    rows = [(0.0, 1.5), (0.1, 0.1), (0.2, 0.1), (0.3, 0.1)]
    short = predict(experiment(Proxy(kind="nginx", connect_timeout=0.5), trace(*rows), server))
    assert outcome_counts(short) == {"ok": 3, "gateway_timeout": 1}
    # With time enough the SYN is sent again after 1 s and after 2 s, when there is room.
    patient = predict(experiment(Proxy(kind="nginx", read_timeout=1.6), trace(*rows), server))
    assert outcome_counts(patient) == {"ok": 4}
    assert patient.requests.finished[3] > 2.0


def test_read_timeout_counts_from_the_connection_however_long_that_took() -> None:
    """The fourth is connected after its SYN was sent twice more, and waits 4 s from then on.

    nginx looks whether it is connected after 3 s: it is, since 2.3 s.
    """
    server = Server(workers=1, worker_class="sync", backlog=1)
    rows = [(0.0, 1.5), (0.1, 0.1), (0.2, 0.1), (0.3, 10.0)]
    proxy = Proxy(kind="nginx", connect_timeout=3.0, read_timeout=4.0)
    run = predict(experiment(proxy, trace(*rows), server))
    assert outcome_counts(run) == {"ok": 3, "gateway_timeout": 1}
    connected = run.requests.accepted[3]
    assert 2.3 < connected < 2.5
    assert run.requests.finished[3] == pytest.approx(connected + 4.0, abs=1e-6)


def test_client_that_gives_up_and_tries_again() -> None:
    server = Server(workers=1, worker_class="sync")
    traffic = replace(trace((0.0, 1.0)), timeout=0.8, retries=1, retry_delay=0.4)
    run = predict(experiment(Proxy(kind="nginx"), traffic, server))
    # The first attempt is run to 1.0; the second is sent at 1.2, and takes as long.
    assert outcome_counts(run) == {"timeout": 1}
    assert run.requests.finished[0] == pytest.approx(2.0, abs=1e-6)


def test_pool_keeps_as_many_as_it_may() -> None:
    """Of four connections that come back, the two that were used last are kept, and used first."""
    first = [(0.0, 0.1), (0.01, 0.1), (0.02, 0.1), (0.03, 0.1)]
    second = [(1.0, 0.1), (1.01, 0.1), (1.02, 0.1)]
    server = replace(GTHREAD, workers=1, threads=8, keepalive=60, worker_connections=9)
    for keepalive, accepted in ((0, 7), (2, 5), (8, 4)):
        proxy = Proxy(kind="nginx", keepalive=keepalive)
        run = predict(experiment(proxy, trace(*first, *second), server))
        assert outcome_counts(run) == {"ok": 7}
        assert connections(proxy, trace(*first, *second), server) == accepted


def test_the_connection_that_was_used_first_leaves_a_full_pool() -> None:
    server = replace(GTHREAD, workers=2, threads=1, keepalive=60, worker_connections=9)
    asked = experiment(
        Proxy(kind="nginx", keepalive=1), trace((0.0, 0.3), (0.01, 0.1), (1.0, 0.1)), server
    )
    apart = 0
    for seed in range(20):
        rows = predict(replace(asked, seed=seed)).requests
        quick, slow, last = (row.worker for row in sorted(rows, key=lambda row: row.finished))
        apart += slow != quick
        assert last == slow
    assert apart


def connections(proxy: Proxy, traffic: Traffic, server: Server) -> int:
    """How many connections Gunicorn accepts: what it costs, if that is all that costs anything."""
    costs = replace(FREE, connect=1e-3, proxy_request=1e-3)
    costly = replace(experiment(replace(proxy, kind="alb"), traffic, server), costs=costs)
    run = predict(costly)
    return sum(
        started - arrival > 0.5e-3
        for arrival, started in zip(run.requests.arrival, run.requests.started, strict=True)
    )


def test_idle_connection_expires_at_the_proxy_or_at_gunicorn() -> None:
    rows = trace((0.0, 0.1), (3.0, 0.1))
    server = replace(GTHREAD, workers=1, keepalive=60)
    assert connections(Proxy(kind="alb", idle_timeout=60.0), rows, server) == 1
    assert connections(Proxy(kind="alb", idle_timeout=2.0), rows, server) == 2
    assert connections(Proxy(kind="alb"), rows, replace(server, keepalive=2)) == 2


def test_keepalive_race_is_502_for_a_balancer_and_not_for_nginx() -> None:
    """A `keepalive` above the idle timeout ends it."""
    traffic = Traffic(rate=0.7, requests=6_000, io=Distribution("const", (0.05,)))
    base = replace(experiment(Proxy(kind="alb"), traffic), costs=Costs())
    raced = summarize([predict(base)])
    assert 0 < raced.outcomes["bad_gateway"] < 12
    assert raced.losses is not None
    assert {loss.cause for loss in raced.losses} == {"keepalive_race"}
    longer = replace(base, server=replace(GTHREAD, keepalive=75))
    assert predict(longer).requests.outcome.count(0) == 6_000
    retrying = replace(base, proxy=Proxy(kind="nginx", keepalive=16))
    assert predict(retrying).requests.outcome.count(0) == 6_000


@pytest.mark.parametrize(("body", "lost"), [(0.0, 0), (0.1, 1)])
def test_nginx_sends_no_post_again(body: float, lost: int) -> None:
    """A POST may have been run already (``proxy_next_upstream`` has no ``non_idempotent``)."""
    traffic = replace(trace((0.1, 0.05), (0.5, 1.0)), body=Distribution("const", (body,)))
    proxy = Proxy(kind="nginx", keepalive=8)
    killed = replace(
        experiment(proxy, traffic, replace(GTHREAD, workers=1)),
        disturbances=(Signal(at=0.9, signal="KILL"),),
    )
    assert outcome_counts(predict(killed)).get("bad_gateway", 0) == lost


def test_nobody_listens_is_502() -> None:
    traffic = Traffic(rate=20, duration=4.0, io=Distribution("const", (0.01,)))
    stopped = replace(
        experiment(Proxy(kind="nginx"), traffic),
        disturbances=(Signal(at=2.0, signal="TERM", to="master"),),
    )
    run = predict(stopped)
    summary = summarize([run])
    assert summary.outcomes["bad_gateway"] > 20
    assert summary.losses is not None
    assert {loss.cause for loss in summary.losses} <= {"not_listening", "stopped_backlog"}


@given(
    kind=st.sampled_from(["nginx", "alb"]),
    keepalive=st.integers(0, 4),
    idle_timeout=st.floats(0.05, 3.0),
    connect_timeout=st.floats(0.05, 3.0),
    read_timeout=st.floats(0.05, 1.0),
    timeout=st.sampled_from([None, 0.2, 0.6]),
    retries=st.integers(0, 2),
    worker_class=st.sampled_from(["sync", "gthread"]),
    release=st.sampled_from(["20.1.0", "23.0.0", "27.0.1"]),
    kept_by_clients=st.booleans(),
    disturbance=st.sampled_from(
        [None, Signal(1.0, "KILL"), Signal(1.0, "HUP", "master"), Rate(1.0, 60.0)]
    ),
    seed=st.integers(0, 9),
)
def test_each_request_ends_in_exactly_one_outcome(
    kind: str,
    keepalive: int,
    idle_timeout: float,
    connect_timeout: float,
    read_timeout: float,
    timeout: float | None,
    retries: int,
    worker_class: str,
    release: str,
    kept_by_clients: bool,
    disturbance: Disturbance | None,
    seed: int,
) -> None:
    """The model asserts so itself; here it is made to meet many proxies."""
    threads = 1 if worker_class == "sync" else 2
    asked = Experiment(
        Server(
            workers=2,
            threads=threads,
            worker_class=worker_class,  # type: ignore[arg-type]
            gunicorn=release,
            backlog=4,
            keepalive=1,
        ),
        traffic=Traffic(
            rate=30,
            duration=2.0,
            io=Distribution("exp", (0.08,)),
            connection="keepalive" if kept_by_clients else "new",
            timeout=timeout,
            retries=retries,
        ),
        proxy=Proxy(
            kind=kind,  # type: ignore[arg-type]
            keepalive=keepalive,
            idle_timeout=idle_timeout,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
        ),
        launchdarkly=LaunchDarkly(enabled=False),
        disturbances=() if disturbance is None else (disturbance,),
        seed=seed,
        replications=1,
    )
    run = predict(asked)
    counted = outcome_counts(run)
    assert sum(counted.values()) == len(run.requests)
    assert not counted["refused"]
    assert not counted["reset"]
    assert not counted["unfinished"]
    assert counted["timeout"] == 0 or timeout is not None
    for arrival, finished in zip(run.requests.arrival, run.requests.finished, strict=True):
        assert finished >= arrival
