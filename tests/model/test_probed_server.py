"""The model's kubelet: what a probe waits for, what it restarts, and whom that costs.

Costs are zero, so that each moment follows from the rules of Kubernetes and of Gunicorn.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import outcomes

from sim.analysis.summary import summarize
from sim.experiment import Experiment, LaunchDarkly, Probe, Proxy, Server, TraceRow, Traffic
from sim.experiment.costs import PARTS, Costs
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import BootError, Disturbance, Hang, Rate, Signal
from sim.model import predict
from sim.run import Run
from sim.run.kubelet import Prober

FREE = Costs(**{cost.name: 1.0 if cost.name in PARTS else 0.0 for cost in fields(Costs)})

SYNC = Server(workers=1, worker_class="sync")
GTHREAD = Server(workers=2, threads=2, worker_class="gthread")

LIVENESS = Probe(
    "liveness", period=1.0, timeout=0.5, failure_threshold=2, termination_grace_period=2.0
)
READINESS = Probe("readiness", period=1.0, timeout=0.5, failure_threshold=2)


def trace(*rows: tuple[float, float], drain: float = 60.0) -> Traffic:
    requests = tuple(TraceRow(at, io, 0.0) for at, io in rows)
    return Traffic(arrivals="trace", trace=requests, drain=drain)


def experiment(
    traffic: Traffic, *probes: Probe, server: Server = SYNC, costs: Costs = FREE
) -> Experiment:
    return Experiment(
        server,
        traffic=traffic,
        probes=probes,
        costs=costs,
        launchdarkly=LaunchDarkly(enabled=False),
        replications=1,
    )


def moments(run: Run, process: str) -> dict[str, float]:
    """When each kind of event came last to a process."""
    return {event.kind: event.time for event in run.events if event.process == process}


def first(asked: Experiment, probe: Probe) -> float:
    return Prober(asked, 0, probe).first


def test_probes_are_rows_of_their_own_at_their_ticks() -> None:
    asked = experiment(
        trace((0.0, 0.1), (3.9, 0.1)), replace(LIVENESS, io=Distribution("const", (0.2,)))
    )
    run = predict(asked)
    assert outcomes(run) == ["ok", "ok"]
    tick = first(asked, LIVENESS)
    assert [probed.request.arrival for probed in run.probes] == pytest.approx(
        [tick + number for number in range(4)]
    )
    assert all(probed.success and probed.kind == "liveness" for probed in run.probes)
    assert [probed.request.latency for probed in run.probes[1:3]] == pytest.approx([0.2, 0.2])
    summary = summarize([run])
    assert summary.requests == 2
    assert summary.kubelet is not None
    assert (summary.kubelet.probes[0].probes, summary.kubelet.restarts) == (4, 0)


def test_a_probe_waits_behind_a_request_and_a_request_behind_a_probe() -> None:
    """They share the accept queue: both wait for the only worker."""
    slow = replace(LIVENESS, io=Distribution("const", (0.45,)), period=10.0)
    asked = experiment(trace((0.0, 0.1)), slow)
    tick = first(asked, slow)
    run = predict(replace(asked, traffic=trace((tick - 0.2, 0.3), (tick + 0.05, 0.1))))
    assert run.probes[0].request.started == pytest.approx(tick + 0.1)
    assert not run.probes[0].success
    # Gunicorn does the work of a probe that has given up, and the request waits for it.
    assert run.requests.started[1] == pytest.approx(tick + 0.55)
    assert outcomes(run) == ["ok", "ok"]


def test_hung_worker_is_restarted_after_term_and_grace_period() -> None:
    """Two failed probes, SIGTERM, 2 s, SIGKILL, a new master; the request in it is lost."""
    asked = experiment(trace((0.0, 3600.0), (9.0, 0.1)), LIVENESS)
    run = predict(asked)
    assert outcomes(run) == ["reset", "ok"]
    container = moments(run, "container")
    failed = first(asked, LIVENESS) + 1.0 + 0.5
    assert container["liveness failed"] == pytest.approx(failed)
    assert container["sent SIGTERM"] == pytest.approx(failed)
    assert container["sent SIGKILL"] == pytest.approx(failed + 2.0)
    assert container["started"] == pytest.approx(failed + 2.0, abs=0.01)
    assert run.requests.finished[0] == pytest.approx(failed + 2.0, abs=0.01)
    assert run.requests.worker[1] == 2
    summary = summarize([run])
    assert summary.kubelet is not None
    assert summary.kubelet.restarts == 1


def test_graceful_timeout_ends_a_hang_before_the_grace_period() -> None:
    """Gunicorn kills what hangs itself; with its default of 30 s it is left to the kubelet."""
    patient = replace(LIVENESS, termination_grace_period=20.0)
    server = Server(workers=1, threads=1, worker_class="gthread", graceful_timeout=1)
    asked = experiment(trace((0.0, 3600.0), (30.0, 0.1)), patient, server=server)
    quick = moments(predict(asked), "container")
    assert "sent SIGKILL" not in quick
    assert quick["ended"] - quick["sent SIGTERM"] == pytest.approx(1.0, abs=0.2)
    slow = moments(
        predict(replace(asked, server=replace(server, graceful_timeout=30))), "container"
    )
    assert slow["sent SIGKILL"] - slow["sent SIGTERM"] == pytest.approx(20.0)


def test_graceful_stop_ends_the_grace_period() -> None:
    """A worker that can finish does, and the container starts again without SIGKILL."""
    asked = experiment(
        trace((0.0, 4.0), (20.0, 0.1)), replace(LIVENESS, termination_grace_period=30)
    )
    run = predict(asked)
    assert outcomes(run) == ["ok", "ok"]
    container = moments(run, "container")
    assert "sent SIGKILL" not in container
    assert container["ended"] == pytest.approx(4.1, abs=0.15)


def test_other_worker_answers_the_probe_of_a_hung_one() -> None:
    """Then nobody restarts the container: no failures in a row."""
    requests = trace((0.0, 3600.0), (30.0, 0.1), drain=1.0)
    asked = experiment(requests, LIVENESS, server=replace(SYNC, workers=2))
    run = predict(asked)
    assert "liveness failed" not in moments(run, "container")
    assert all(probed.success for probed in run.probes)


def test_new_container_boots_as_the_first_did() -> None:
    """Import and LaunchDarkly come before the first request: its probes are refused, and fail."""
    costs = replace(FREE, import_app=2.5)
    server = replace(SYNC, preload_app=True)
    asked = experiment(trace((0.0, 3600.0), (12.0, 0.1)), LIVENESS, server=server, costs=costs)
    run = predict(replace(asked, probes=(replace(LIVENESS, failure_threshold=4),)))
    container, master = moments(run, "container"), moments(run, "master")
    assert master["listening"] - container["started"] == pytest.approx(2.5)
    assert {"refused"} <= {probed.request.outcome for probed in run.probes}
    assert outcomes(run) == ["reset", "ok"]
    # With two failures it is ended before it listens, again and again, ever later. It has no
    # handler for SIGTERM yet.
    loop = predict(replace(asked, traffic=trace((0.0, 3600.0), (70.0, 0.1), drain=1.0)))
    starts = [event.time for event in loop.events if event.kind == "started"]
    ends = [event.time for event in loop.events if event.kind == "ended"]
    waits = [start - end for start, end in zip(starts, ends, strict=False)]
    assert waits == pytest.approx([0, 10, 20], abs=0.01)
    assert outcomes(loop) == ["reset", "refused"]
    assert [event.kind for event in loop.events].count("sent SIGKILL") >= len(starts)


def test_startup_probe_holds_the_liveness_probe_back() -> None:
    costs = replace(FREE, import_app=1.5)
    server = replace(SYNC, preload_app=True)
    startup = Probe("startup", period=0.5, timeout=0.4, failure_threshold=10)
    asked = experiment(
        trace((0.0, 3600.0), (12.0, 0.1)), LIVENESS, startup, server=server, costs=costs
    )
    run = predict(asked)
    assert [event.kind for event in run.events].count("started") == 1
    assert outcomes(run) == ["reset", "ok"]
    container = moments(run, "container")
    assert container["startup over"] > container["started"] + 1.5
    held = [
        probed
        for probed in run.probes
        if probed.kind == "liveness"
        and container["started"] < probed.request.arrival < container["startup over"]
    ]
    assert held == []


def test_a_container_is_in_service_once_it_is_ready_and_not_as_soon_as_it_has_started() -> None:
    """A readiness probe is held back until the startup probe succeeds, and then decides."""
    startup = Probe("startup", period=0.5, timeout=0.4, failure_threshold=10)
    asked = experiment(trace((0.0, 0.1), (12.0, 0.1)), READINESS, startup)
    run = predict(replace(asked, disturbances=(Signal(2.0, "KILL", "master"),)))
    assert outcomes(run) == ["ok", "ok"]
    container, pod = moments(run, "container"), moments(run, "pod")
    assert container["started"] == pytest.approx(2.0, abs=0.01)
    assert pod["out of service"] == pytest.approx(2.0, abs=0.01)
    assert container["started"] <= container["startup over"] <= 2.5 + 0.01
    probes = [probed for probed in run.probes if probed.kind == "readiness"]
    later = [probed.request for probed in probes if probed.request.arrival > 2.0]
    assert later[0].arrival >= container["startup over"]
    assert pod["in service"] == pytest.approx(later[0].finished)


def test_startup_probe_that_never_succeeds_restarts_the_container() -> None:
    startup = Probe("startup", period=0.5, failure_threshold=3, termination_grace_period=1.0)
    asked = experiment(trace((0.0, 0.1), (30.0, 0.1), drain=1.0), LIVENESS, startup)
    broken = replace(asked, disturbances=(BootError(1.0), Signal(1.5, "KILL", "master")))
    run = predict(broken)
    assert [event.kind for event in run.events].count("started") >= 2
    assert outcomes(run) == ["ok", "refused"]


def test_unready_pod_is_out_of_its_service_until_it_answers() -> None:
    """Its clients are refused meanwhile, and the queue that the probe waited in empties."""
    requests = [(0.1, 3.0), (2.0, 0.1), (3.5, 0.1), (8.0, 0.1)]
    asked = experiment(trace(*requests), READINESS)
    tick = first(asked, READINESS)
    run = predict(asked)
    pod = moments(run, "pod")
    assert pod["out of service"] == pytest.approx(tick + (1.5 if tick > 0.1 else 2.5))
    assert 3.1 < pod["in service"] < 4.3
    expected = [
        "refused" if pod["out of service"] < at < pod["in service"] else "ok" for at, _ in requests
    ]
    assert outcomes(run) == expected
    assert "refused" in expected
    summary = summarize([run])
    assert summary.losses is not None
    assert {loss.cause for loss in summary.losses} == {"not_ready"}
    assert summary.kubelet is not None
    assert summary.kubelet.not_ready_s == pytest.approx(pod["in service"] - pod["out of service"])
    through = predict(replace(asked, proxy=Proxy(kind="alb")))
    assert Counter(outcomes(through)) == Counter(
        "bad_gateway" if outcome == "refused" else outcome for outcome in expected
    )


def test_overload_becomes_an_outage() -> None:
    """A burst that a server without a probe survives costs a restart, and all that waits."""
    burst = (Rate(5.0, 100.0), Rate(8.0, 20.0))
    traffic = Traffic(rate=20.0, duration=30.0, io=Distribution("const", (0.08,)), drain=60.0)
    alone = replace(experiment(traffic, server=GTHREAD), disturbances=burst)
    assert set(outcomes(predict(alone))) == {"ok"}
    probed = replace(alone, probes=(LIVENESS,))
    summary = summarize([predict(probed)])
    assert summary.kubelet is not None
    assert summary.kubelet.restarts >= 1
    assert summary.requests - summary.outcomes["ok"] > 50
    assert summary.losses is not None
    assert {loss.at_s for loss in summary.losses} == {5.0}
    # A probe that outlasts the queue costs nothing.
    patient = predict(replace(alone, probes=(replace(LIVENESS, failure_threshold=20),)))
    assert set(outcomes(patient)) == {"ok"}


def test_container_that_ends_by_itself_is_started_again() -> None:
    """Its first process is the master: its end is the end of all."""
    asked = experiment(trace((0.0, 0.1), (5.0, 0.1)), LIVENESS, server=GTHREAD)
    run = predict(replace(asked, disturbances=(Signal(2.0, "KILL", "master"),)))
    assert outcomes(run) == ["ok", "ok"]
    container = moments(run, "container")
    assert container["ended"] == pytest.approx(2.0, abs=0.01)
    assert container["started"] == pytest.approx(2.0, abs=0.01)
    # Later disturbances reach the master that runs then.
    again = (Signal(2.0, "KILL", "master"), Signal(3.0, "TTIN", "master"))
    run = predict(replace(asked, disturbances=again))
    forks = [event.time for event in run.events if event.kind == "fork"]
    assert forks[-1] == pytest.approx(3.0, abs=0.01)


def test_without_probes_nothing_changes() -> None:
    traffic = Traffic(rate=50.0, requests=500, io=Distribution("exp", (0.05,)))
    asked = experiment(traffic, server=GTHREAD, costs=Costs())
    assert predict(asked).probes == ()
    # Probes that come after the last request share every random stream's first draws.
    rare = replace(asked, probes=(replace(LIVENESS, period=1e6),))
    if first(rare, rare.probes[0]) > 20:
        assert outcomes(predict(rare)) == outcomes(predict(asked))


@given(
    kinds=st.sets(st.sampled_from(["liveness", "readiness", "startup"]), min_size=1),
    period=st.floats(0.1, 1.0),
    timeout=st.floats(0.01, 1.0),
    threshold=st.integers(1, 3),
    grace_period=st.floats(0.0, 2.0),
    io=st.sampled_from(["const:0", "exp:0.1"]),
    worker_class=st.sampled_from(["sync", "gthread"]),
    release=st.sampled_from(["20.1.0", "23.0.0", "27.0.1"]),
    arrivals=st.sampled_from(["poisson", "closed"]),
    kept=st.booleans(),
    proxy=st.sampled_from(["none", "nginx", "alb"]),
    disturbance=st.sampled_from(
        [
            None,
            Signal(1.0, "KILL"),
            Signal(1.0, "KILL", "master"),
            Signal(1.0, "USR2", "master"),
            Hang(0.5, 1, 2),
            Rate(1.0, 90.0),
            BootError(0.5),
        ]
    ),
    seed=st.integers(0, 9),
)
def test_each_request_and_probe_ends_in_exactly_one_outcome(
    kinds: set[str],
    period: float,
    timeout: float,
    threshold: int,
    grace_period: float,
    io: str,
    worker_class: str,
    release: str,
    arrivals: str,
    kept: bool,
    proxy: str,
    disturbance: Disturbance | None,
    seed: int,
) -> None:
    """The model asserts so itself; here it is made to meet many probes."""
    if arrivals == "closed" and isinstance(disturbance, Rate):
        disturbance = None
    asked = Experiment(
        Server(
            workers=2,
            threads=1 if worker_class == "sync" else 2,
            worker_class=worker_class,  # type: ignore[arg-type]
            gunicorn=release,
            backlog=8,
            keepalive=1,
            timeout=2,
        ),
        traffic=Traffic(
            arrivals=arrivals,  # type: ignore[arg-type]
            rate=30,
            duration=4.0,
            users=4,
            think=Distribution("exp", (0.1,)),
            io=Distribution("exp", (0.08,)),
            connection="keepalive" if kept else "new",
            drain=3.0,
        ),
        proxy=Proxy(kind=proxy),  # type: ignore[arg-type]
        launchdarkly=LaunchDarkly(enabled=False),
        probes=tuple(
            Probe(
                kind,  # type: ignore[arg-type]
                period=period,
                timeout=timeout,
                failure_threshold=threshold,
                io=Distribution.parse(io),
                termination_grace_period=30.0 if kind == "readiness" else grace_period,
            )
            for kind in sorted(kinds)
        ),
        disturbances=() if disturbance is None else (disturbance,),
        seed=seed,
        replications=1,
    )
    run = predict(asked)
    assert {probed.kind for probed in run.probes} <= kinds
    # Only the last of each kind may be out when the run ends.
    for kind in kinds:
        of_kind = [probed.request for probed in run.probes if probed.kind == kind]
        assert all(row.outcome != "unfinished" for row in of_kind[:-1])
        assert all(row.latency <= timeout + 1e-6 for row in of_kind[:-1])
    for row in run.requests:
        assert row.outcome == "unfinished" or row.finished >= row.arrival
    summary = summarize([run])
    assert summary.requests == len(run.requests)
    assert repr(predict(asked)) == repr(run)
