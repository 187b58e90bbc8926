"""The model's rollout: who gets each request, and which are lost.

Costs are zero, so that each moment follows from the rules of Kubernetes and of Gunicorn.
"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from outcomes import outcomes

from sim.analysis.capacity import capacity
from sim.analysis.summary import summarize
from sim.experiment import (
    Experiment,
    LaunchDarkly,
    Probe,
    Proxy,
    Server,
    TraceRow,
    Traffic,
)
from sim.experiment.costs import PARTS, Costs
from sim.experiment.disturbance import BootError, Disturbance, Hang, Rollout, Signal
from sim.model import predict
from sim.run import Run

FREE = Costs(**{cost.name: 1.0 if cost.name in PARTS else 0.0 for cost in fields(Costs)})

#: The application's import takes 1.7 s: so long a new pod refuses.
BOOT = 1.7
SLOW_BOOT = replace(FREE, import_app=BOOT)

#: Comes every 0.5 s from the creation of the pod on.
READINESS = Probe("readiness", period=0.5, timeout=0.4)

#: Created at 1 s; the probe at 2.5 s comes before its boot is over, so it is ready at 3 s.
READY = 3.0
ROLLOUT = Rollout(1.0, pre_stop=0.0, endpoints=1.0, termination_grace_period=5.0)

GTHREAD = Server(workers=1, threads=2, worker_class="gthread", preload_app=True)

#: s between two requests.
GAP = 0.1


def experiment(
    *disturbances: Disturbance,
    probes: tuple[Probe, ...] = (READINESS,),
    server: Server = GTHREAD,
    long: tuple[float, float] | None = None,
) -> Experiment:
    """A request each `GAP` s that waits for 10 ms, and one that comes and waits as ``long`` says.

    Args:
        disturbances: what is done.
        probes: of the container.
        server: its Gunicorn.
        long: when that request comes, and how long it waits, s.
    """
    rows = [(0.05 + GAP * number, 0.01) for number in range(100)]
    if long is not None:
        rows.append(long)
    trace = tuple(TraceRow(at, io, 0.0) for at, io in sorted(rows))
    return Experiment(
        server,
        traffic=Traffic(arrivals="trace", trace=trace, drain=3.0),
        costs=SLOW_BOOT,
        launchdarkly=LaunchDarkly(enabled=False),
        disturbances=disturbances,
        probes=probes,
        replications=1,
    )


def at(run: Run, kind: str, process: str) -> float | None:
    """When that came first, s."""
    times = [event.time for event in run.events if (event.kind, event.process) == (kind, process)]
    return times[0] if times else None


def lost(run: Run) -> list[float]:
    """When the requests came that were not answered, s."""
    return [
        run.requests.arrival[row] for row, outcome in enumerate(outcomes(run)) if outcome != "ok"
    ]


def causes(run: Run) -> dict[str, str | None]:
    """The disturbance that each cause of a loss is charged to."""
    losses = summarize([run]).losses
    assert losses is not None
    return {loss.cause: loss.what for loss in losses}


def test_old_pod_serves_until_the_new_one_is_ready_and_the_service_has_switched() -> None:
    run = predict(experiment(replace(ROLLOUT, pre_stop=2.0)))
    assert lost(run) == []
    assert at(run, "created", "pod 2") == pytest.approx(1.0)
    assert at(run, "listening", "master 2") == pytest.approx(1.0 + BOOT)
    assert at(run, "available", "pod 2") == at(run, "deleted", "pod") == pytest.approx(READY)
    assert at(run, "switched", "service") == pytest.approx(READY + 1.0)
    assert at(run, "sent SIGTERM", "container") == pytest.approx(READY + 2.0)
    assert at(run, "started", "container 2") is None
    by_time = list(zip(run.requests.arrival, run.requests.worker, strict=True))
    assert {worker for time, worker in by_time if time < READY + 1.0} == {1}
    assert {worker for time, worker in by_time if time > READY + 1.0} == {2}


def test_without_a_hook_requests_meet_a_server_that_has_ended() -> None:
    """SIGTERM comes at once, and clients go on until the Service has switched, 1 s later."""
    run = predict(experiment(ROLLOUT))
    assert lost(run) == pytest.approx([READY + 0.05 + GAP * number for number in range(10)])
    assert set(causes(run)) <= {"not_listening", "stopped_backlog"}
    assert set(causes(run).values()) == {
        "a rollout: preStop 0 s, endpoints 1 s, grace period 5 s",
    }
    booted, *changes = capacity(run.events, 2)
    assert (booted.time < 0, booted.threads) == (True, 2)
    assert [step.threads for step in changes] == [0, 2]
    assert [step.time for step in changes] == pytest.approx([READY, READY + 1.0])


def test_a_hook_that_is_too_short_loses_the_rest() -> None:
    run = predict(experiment(replace(ROLLOUT, pre_stop=0.7)))
    assert lost(run) == pytest.approx([READY + 0.75 + GAP * number for number in range(3)])


def test_without_a_readiness_probe_clients_meet_a_pod_that_boots() -> None:
    """It is ready as soon as its container runs; the Service switches 1 s later."""
    run = predict(experiment(replace(ROLLOUT, pre_stop=2.0), probes=()))
    assert at(run, "available", "pod 2") == pytest.approx(1.0)
    assert lost(run) == pytest.approx([2.05 + GAP * number for number in range(7)])
    assert set(outcomes(run)) == {"ok", "refused"}
    assert set(causes(run)) == {"not_listening"}


@pytest.mark.parametrize("graceful_timeout", [1, 30])
def test_grace_period_counts_from_the_deletion(graceful_timeout: int) -> None:
    """4 s of hook leave 2 s, the least, of a grace period of 5 s; graceful_timeout begins then."""
    server = replace(GTHREAD, graceful_timeout=graceful_timeout)
    rollout = replace(ROLLOUT, pre_stop=4.0)
    run = predict(experiment(rollout, server=server, long=(2.9, 3600.0)))
    term, end = READY + 4.0, at(run, "ended", "container")
    assert at(run, "sent SIGTERM", "container") == pytest.approx(term)
    if graceful_timeout == 1:
        assert at(run, "sent SIGKILL", "container") is None
        assert end == pytest.approx(term + 1.0, abs=0.2)
        assert set(causes(run)) == {"graceful_timeout"}
    else:
        assert at(run, "sent SIGKILL", "container") == pytest.approx(term + 2.0)
        assert set(causes(run)) == {"worker_killed"}
    assert lost(run) == [2.9]


def test_hook_ends_with_the_grace_period() -> None:
    run = predict(experiment(replace(ROLLOUT, pre_stop=60.0, termination_grace_period=3.0)))
    assert at(run, "sent SIGTERM", "container") == pytest.approx(READY + 3.0)
    assert lost(run) == []


def test_release_that_cannot_boot_stalls_the_rollout_and_the_old_pod_serves_on() -> None:
    run = predict(experiment(BootError(0.5), replace(ROLLOUT, pre_stop=2.0)))
    assert lost(run) == []
    assert at(run, "deleted", "pod") is None
    assert at(run, "ended", "container 2") is not None
    assert at(run, "back-off", "container 2") is not None
    summary = summarize([run])
    assert summary.kubelet is not None
    assert summary.kubelet.restarts >= 1


def test_new_pod_that_cannot_boot_and_has_no_readiness_probe_takes_all_traffic() -> None:
    run = predict(experiment(BootError(0.5), ROLLOUT, probes=()))
    assert lost(run) == [arrival for arrival in run.requests.arrival if arrival > 1.0]
    assert set(causes(run)) <= {"not_listening", "stopped_backlog"}


def test_kept_connections_stay_with_the_old_pod() -> None:
    """The Service chooses a pod for a new connection only."""
    asked = experiment(replace(ROLLOUT, pre_stop=3.0))
    kept = replace(
        asked,
        server=replace(GTHREAD, keepalive=5),
        traffic=replace(asked.traffic, connection="keepalive"),
    )
    run = predict(kept)
    switched, term = READY + 1.0, READY + 3.0
    between = {
        run.requests.worker[row]
        for row, arrival in enumerate(run.requests.arrival)
        if switched < arrival < term
    }
    assert between == {1}


def test_load_balancer_answers_502_for_a_pod_that_is_gone() -> None:
    run = predict(replace(experiment(ROLLOUT), proxy=Proxy(kind="alb", keepalive=0)))
    assert set(outcomes(run)) == {"ok", "bad_gateway"}
    assert lost(run) == pytest.approx([READY + 0.05 + GAP * number for number in range(10)])


def test_later_disturbances_reach_the_workers_of_the_new_pod() -> None:
    """Boot order counts on over both pods; the master is the first pod's, which has gone."""
    hang, kill = Hang(6.01, worker=2, seconds=0.5), Signal(7.0, "KILL", "master")
    run = predict(experiment(replace(ROLLOUT, pre_stop=1.5), hang, kill))
    assert at(run, "hang", "worker 2") == pytest.approx(6.05)
    assert lost(run) == []


def test_rest_of_the_run_is_what_it_was_without_a_rollout() -> None:
    """What came before it is the same to the last bit."""
    alone, rolled = predict(experiment()), predict(experiment(replace(ROLLOUT, at=9.0)))
    first = [row for row, arrival in enumerate(alone.requests.arrival) if arrival < 8.9]
    assert [alone.requests[row] for row in first] == [rolled.requests[row] for row in first]


def ends(run: Run, kind: str) -> list[float]:
    """When that came to the first pod's container, s."""
    return [
        event.time for event in run.events if (event.kind, event.process) == (kind, "container")
    ]


def test_pod_that_is_deleted_while_it_is_restarted_is_stopped_once() -> None:
    """Its liveness probe has failed, and it has 2 s more; the rollout deletes it meanwhile."""
    liveness = Probe("liveness", period=0.5, timeout=0.4, failure_threshold=1, initial_delay=3.0)
    asked = experiment(
        replace(ROLLOUT, termination_grace_period=9.0),
        Hang(1.5, worker=1, threads=2, seconds=3600.0),
        probes=(READINESS, replace(liveness, termination_grace_period=2.0)),
    )
    run = predict(asked)
    (failed,), (term,), (ended,) = (
        ends(run, kind) for kind in ("liveness failed", "sent SIGTERM", "ended")
    )
    deleted = at(run, "deleted", "pod")
    assert deleted == pytest.approx(READY)
    assert failed == term < READY < ended
    assert ended == pytest.approx(term + 2.0, abs=0.01)
    assert not ends(run, "started")
    assert outcomes(run)[-1] == "ok"


def test_pod_that_is_deleted_in_its_back_off_is_not_started_again() -> None:
    """Its second restart waits for 10 s, from 2.2 to 12.2, and it is deleted at 3."""
    kills = (Signal(0.2, "KILL", "master"), Signal(2.2, "KILL", "master"))
    run = predict(experiment(kills[0], ROLLOUT, kills[1], long=(13.0, 0.01)))
    assert ends(run, "back-off") == pytest.approx([2.2], abs=0.01)
    assert at(run, "deleted", "pod") == pytest.approx(READY)
    assert ends(run, "started") == pytest.approx([0.2], abs=0.01)
    assert outcomes(run)[-1] == "ok"


def test_container_that_ends_in_its_hook_gets_no_signal() -> None:
    """Its first process is gone at 4.5, of a hook that would sleep until 6."""
    kill = Signal(4.5, "KILL", "master")
    run = predict(experiment(replace(ROLLOUT, pre_stop=3.0), kill))
    assert not ends(run, "sent SIGTERM")
    assert ends(run, "ended") == pytest.approx([4.5], abs=0.01)
    assert not ends(run, "started")
    assert lost(run) == []
