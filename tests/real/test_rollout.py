"""A rollout of real Gunicorn, predicted and measured: which requests does it lose?

The rig creates a second Gunicorn at an address of its own, deletes the first, and lets clients go
over late, by the rules that the model follows.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from looks import Measured, Measurements, measured_run
from outcomes import outcomes

from reference_app.rig.measure import measure
from sim.errors import ExperimentError
from sim.experiment import (
    Experiment,
    LaunchDarkly,
    Probe,
    Proxy,
    Server,
    TraceRow,
    Traffic,
)
from sim.experiment.disturbance import BootError, Rollout
from sim.model import predict
from sim.run import Run

#: A tick of the readiness probe decides when the new pod is ready: between two of them is the boot,
#: which takes 0.3-0.5 s. So all that follows is a matter of the kubelet's clock.
READINESS = Probe("readiness", period=1.0, timeout=0.4)
ROLLOUT = Rollout(0.2, pre_stop=0.0, endpoints=0.7, termination_grace_period=2.0)

#: s between two requests.
GAP = 0.05

#: s by which a measured moment of the kubelet's may be off.
TOLERANCE = 0.05

#: What the kubelet does, by its clock. How long Gunicorn takes to end is another matter.
DECIDED = ("created", "available", "deleted", "sent SIGTERM", "sent SIGKILL", "switched")


def experiment(*disturbances: Rollout | BootError) -> Experiment:
    """A request each `GAP` s that waits for 5 ms, on one worker."""
    trace = tuple(TraceRow(0.02 + GAP * number, 0.005, 0.0) for number in range(60))
    return Experiment(
        Server(workers=1, threads=2, worker_class="gthread", preload_app=True),
        traffic=Traffic(arrivals="trace", trace=trace, drain=0.5),
        launchdarkly=LaunchDarkly(enabled=False),
        disturbances=disturbances,
        probes=(READINESS,),
        replications=1,
    )


EXPERIMENTS = {
    "no hook": experiment(ROLLOUT),
    "a hook": experiment(replace(ROLLOUT, pre_stop=0.9)),
    "no boot": experiment(BootError(0.0), ROLLOUT),
}

EXHIBIT = Measurements(measured_run, EXPERIMENTS, few=True)


def both(name: str, measured: Measured[str, Run]) -> tuple[Run, Run]:
    """One of them, predicted and measured; nothing that was started is left."""
    assert measured.left_over() == []
    return predict(EXPERIMENTS[name]), measured[name]


def decided(run: Run) -> dict[tuple[str, str], float]:
    """When the kubelet, the Deployment and the Service did what they did, s."""
    return {
        (event.kind, event.process): event.time for event in run.events if event.kind in DECIDED
    }


def test_requests_are_lost_between_sigterm_and_the_switch(measured: Measured[str, Run]) -> None:
    """Each outcome is the predicted one, but for those that come within `TOLERANCE` of a change."""
    runs = both("no hook", measured)
    model, real = map(decided, runs)
    assert real == pytest.approx(model, abs=TOLERANCE)
    term, switched = model["sent SIGTERM", "container"], model["switched", "service"]
    assert switched - term == pytest.approx(ROLLOUT.endpoints)
    for run in runs:
        for arrival, outcome, worker in zip(
            run.requests.arrival, outcomes(run), run.requests.worker, strict=True
        ):
            if min(abs(arrival - term), abs(arrival - switched)) > TOLERANCE:
                lost = term < arrival < switched
                assert (outcome in ("reset", "refused")) == lost, arrival
                assert lost or worker == (1 if arrival < term else 2)


def test_a_hook_that_outlasts_the_switch_loses_none(measured: Measured[str, Run]) -> None:
    model, real = runs = both("a hook", measured)
    assert set(outcomes(model)) == set(outcomes(real)) == {"ok"}
    assert decided(real) == pytest.approx(decided(model), abs=TOLERANCE)
    workers = {number for run in runs for number in run.requests.worker}
    assert workers == {1, 2}


def test_release_that_cannot_boot_stalls_the_rollout(measured: Measured[str, Run]) -> None:
    """The old pod is not deleted, and the new container waits for its restart."""
    for run in both("no boot", measured):
        assert set(outcomes(run)) == {"ok"}
        assert {kind for kind, _ in decided(run)} == {"created"}
        kinds = [event.kind for event in run.events if event.process == "container 2"]
        assert kinds[:3] == ["ended", "started", "ended"]


def test_nginx_and_a_rollout_are_refused() -> None:
    asked = replace(experiment(ROLLOUT), probes=(), proxy=Proxy(kind="nginx"))
    with pytest.raises(ExperimentError, match="the proxy nginx and a rollout; expected one"):
        measure(asked, 0, lambda *_: None)
