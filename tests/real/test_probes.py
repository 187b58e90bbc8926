"""What a kubelet makes of a server, predicted and measured.

The rig probes real Gunicorn by the rules that the model follows, restarts it, and takes it out of
its Service. Each case is a trace of requests whose outcomes and times follow from those rules. The
servers sleep more than they compute, so a few are measured at the same time. One that surprises is
looked at again, alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from looks import Measured, Measurements, measured_run
from outcomes import outcomes

from sim.experiment import Experiment, LaunchDarkly, Probe, Server, TraceRow, Traffic
from sim.model import predict
from sim.run import OUTCOMES, Run
from sim.run.kubelet import Prober

#: s by which a measured time may differ. What the kubelet decides is a matter of its clock: in four
#: sessions on an idle machine it was off by 1-2 ms. A master that stops looks after its workers
#: once in 0.1 s, so that a worker's end a moment earlier is all of that: its end was off by 0.14 s
#: at most.
TOLERANCE, END_TOLERANCE = 0.02, 0.15

DECIDED = ("liveness failed", "startup failed", "sent SIGTERM", "sent SIGKILL")

LIVENESS = Probe(
    "liveness", period=0.4, timeout=0.2, failure_threshold=2, termination_grace_period=2.0
)

HANG = 3600.0


def experiment(rows: list[tuple[float, float]], server: Server, *probes: Probe) -> Experiment:
    """Requests at these times, s, that wait for so long, s."""
    trace = tuple(TraceRow(arrival, io, 0.0) for arrival, io in rows)
    return Experiment(
        server,
        traffic=Traffic(arrivals="trace", trace=trace, drain=0.5),
        launchdarkly=LaunchDarkly(enabled=False),
        probes=probes,
        replications=1,
    )


def moments(run: Run, *processes: str) -> list[tuple[str, float]]:
    """What happened to these, and when."""
    return [(event.kind, event.time) for event in run.events if event.process in processes]


def differences(predicted: Run, measured: Run, *processes: str) -> list[str]:
    """What happened to these processes otherwise, or at another time."""
    model, real = moments(predicted, *processes), moments(measured, *processes)
    if [kind for kind, _ in real] != [kind for kind, _ in model]:
        return [f"{real}; expected {model}"]
    return [
        f"{kind} at {at:.3f} s; expected {then:.3f} s"
        for (kind, at), (_, then) in zip(real, model, strict=True)
        if abs(at - then) > (TOLERANCE if kind in DECIDED else END_TOLERANCE)
    ]


IMPATIENT = replace(LIVENESS, period=0.2, timeout=0.15)
READINESS = Probe("readiness", period=0.4, timeout=0.2, failure_threshold=2)
STARTUP = Probe("startup", period=0.2, timeout=0.15, failure_threshold=30)

EXPERIMENTS = {
    "hung": experiment(
        [(0.05, HANG), (4.5, 0.02)],
        Server(workers=1, threads=1, worker_class="gthread", timeout=1),
        LIVENESS,
    ),
    "one of two hung": experiment(
        [(0.05, HANG), (2.5, 0.02)],
        Server(workers=2, threads=1, worker_class="gthread", worker_connections=1, timeout=1),
        LIVENESS,
    ),
    "overload": experiment(
        [*((0.5 + 0.01 * number, 0.1) for number in range(20)), (4.5, 0.02)],
        Server(workers=1, worker_class="sync"),
        LIVENESS,
    ),
    "not ready": experiment(
        [(0.05, 1.6), *((0.3 + 0.1 * number, 0.01) for number in range(24))],
        Server(workers=1, worker_class="sync"),
        READINESS,
    ),
    "start": experiment(
        [(0.05, HANG), (4.5, 0.02)],
        Server(workers=1, threads=1, worker_class="gthread"),
        STARTUP,
        IMPATIENT,
    ),
    "well": experiment([(0.1, 0.01), (2.0, 0.01)], Server(workers=1), LIVENESS),
}


EXHIBIT = Measurements(measured_run, EXPERIMENTS, few=True)


@dataclass(frozen=True)
class Both:
    """An experiment, predicted and measured."""

    predicted: Run
    measured: Run


@pytest.fixture(scope="module")
def both(measured: Measured[str, Run]) -> dict[str, Both]:
    """All of them; nothing that was started is left."""
    assert measured.left_over() == []
    return {name: Both(predict(asked), measured[name]) for name, asked in EXPERIMENTS.items()}


def agree(name: str, both: Both, *processes: str) -> None:
    """The same happened to these processes, at the same times."""
    if differences(both.predicted, both.measured, *processes):
        assert differences(both.predicted, measured_run(EXPERIMENTS[name]), *processes) == []


def test_hung_gthread_worker_is_killed_by_the_probe(both: dict[str, Both]) -> None:
    """Gunicorn never kills it, for its main thread sends heartbeats; the kubelet does."""
    predicted, measured = both["hung"].predicted, both["hung"].measured
    assert outcomes(predicted) == outcomes(measured) == ["reset", "ok"]
    agree("hung", both["hung"], "container", "pod")
    kinds = [kind for kind, _ in moments(measured, "container")]
    assert kinds == ["liveness failed", "sent SIGTERM", "sent SIGKILL", "ended", "started"]
    assert not [event for event in measured.events if event.kind == "timeout"]
    assert measured.requests.worker[1] == predicted.requests.worker[1] == 2
    alone = predict(replace(EXPERIMENTS["hung"], probes=()))
    assert outcomes(alone) == ["unfinished", "unfinished"]


def test_other_worker_answers_the_probe_of_a_hung_one(both: dict[str, Both]) -> None:
    """Nobody restarts the container: a worker that holds what it may does not accept the probe."""
    predicted, measured = both["one of two hung"].predicted, both["one of two hung"].measured
    assert outcomes(predicted) == outcomes(measured) == ["unfinished", "ok"]
    for run in (predicted, measured):
        assert moments(run, "container", "pod") == []
        assert len(run.probes) >= 5
        assert all(probed.success for probed in run.probes)
        assert len({probed.request.worker for probed in run.probes[1:]}) == 1


def test_short_overload_becomes_an_outage(both: dict[str, Both]) -> None:
    """The probe waits in the accept queue behind 2 s of work, which the server would have done."""
    predicted, measured = both["overload"].predicted, both["overload"].measured
    assert set(outcomes(predict(replace(EXPERIMENTS["overload"], probes=())))) == {"ok"}
    agree("overload", both["overload"], "container", "pod")
    lost = [run.requests.outcome.count(OUTCOMES.index("reset")) for run in (predicted, measured)]
    assert lost[0] > 5
    assert abs(lost[1] - lost[0]) <= 1
    assert outcomes(predicted)[-1] == outcomes(measured)[-1] == "ok"


def test_readiness_takes_the_pod_out_and_back(both: dict[str, Both]) -> None:
    """Clients are refused while a long request keeps the only worker from answering the probe."""
    predicted, measured = both["not ready"].predicted, both["not ready"].measured
    agree("not ready", both["not ready"], "pod")
    assert [kind for kind, _ in moments(measured, "pod")] == ["out of service", "in service"]
    assert outcomes(predicted).count("refused") > 3
    differ = [
        row
        for row, (model, real) in enumerate(
            zip(outcomes(predicted), outcomes(measured), strict=True)
        )
        if model != real
    ]
    assert len(differ) <= 2


def test_startup_probe_holds_the_others_back(both: dict[str, Both]) -> None:
    """No liveness probe before the new container has answered: its boot is never cut short."""
    for run in (both["start"].predicted, both["start"].measured):
        assert outcomes(run) == ["reset", "ok"]
        at = dict(moments(run, "container"))
        assert [kind for kind, _ in moments(run, "container")].count("started") == 1
        assert at["startup over"] > at["started"]
        early = [
            probed.kind
            for probed in run.probes
            if at["started"] < probed.request.arrival < at["startup over"]
        ]
        assert set(early) == {"startup"}


def test_probes_come_at_the_same_times_to_both(both: dict[str, Both]) -> None:
    """Their first tick is drawn from the experiment's streams."""
    first = Prober(EXPERIMENTS["well"], 0, LIVENESS).first
    for run in (both["well"].predicted, both["well"].measured):
        arrivals = [probed.request.arrival for probed in run.probes]
        expected = [first + 0.4 * number for number in range(len(arrivals))]
        assert arrivals == pytest.approx(expected, abs=0.05)
        assert all(probed.success and probed.request.worker == 1 for probed in run.probes)
