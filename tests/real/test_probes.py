"""What a kubelet makes of a server, predicted and measured.

The rig probes real Gunicorn by the rules that the model follows, restarts it, and takes it out of
its Service. Each case is a trace of requests whose outcomes and times follow from those rules.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from outcomes import outcomes

from reference_app.rig.measure import measure
from sim.errors import ExperimentError
from sim.experiment import Experiment, LaunchDarkly, Probe, Proxy, Server, TraceRow, Traffic
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


def both(asked: Experiment) -> tuple[Run, Run]:
    """Predict and measure it; nothing that was started is left."""
    before = set(psutil.Process().children(recursive=True))
    predicted, measured = predict(asked), measure(asked, 0, lambda *_: None)
    assert set(psutil.Process().children(recursive=True)) <= before
    return predicted, measured


def moments(run: Run, *processes: str) -> list[tuple[str, float]]:
    """What happened to these, and when."""
    return [(event.kind, event.time) for event in run.events if event.process in processes]


def agree(predicted: Run, measured: Run, *processes: str) -> None:
    """The same happened to these processes, at the same times."""
    model, real = moments(predicted, *processes), moments(measured, *processes)
    assert [kind for kind, _ in real] == [kind for kind, _ in model]
    for (kind, at), (_, then) in zip(real, model, strict=True):
        tolerance = TOLERANCE if kind in DECIDED else END_TOLERANCE
        assert at == pytest.approx(then, abs=tolerance), kind


def test_hung_gthread_worker_is_killed_by_the_probe() -> None:
    """Gunicorn never kills it, for its main thread sends heartbeats; the kubelet does."""
    server = Server(workers=1, threads=1, worker_class="gthread", timeout=1)
    asked = experiment([(0.05, HANG), (4.5, 0.02)], server, LIVENESS)
    predicted, measured = both(asked)
    assert outcomes(predicted) == outcomes(measured) == ["reset", "ok"]
    agree(predicted, measured, "container", "pod")
    kinds = [kind for kind, _ in moments(measured, "container")]
    assert kinds == ["liveness failed", "sent SIGTERM", "sent SIGKILL", "ended", "started"]
    assert not [event for event in measured.events if event.kind == "timeout"]
    assert measured.requests.worker[1] == predicted.requests.worker[1] == 2
    alone = predict(replace(asked, probes=()))
    assert outcomes(alone) == ["unfinished", "unfinished"]


def test_other_worker_answers_the_probe_of_a_hung_one() -> None:
    """Nobody restarts the container: a worker that holds what it may does not accept the probe."""
    server = Server(workers=2, threads=1, worker_class="gthread", worker_connections=1, timeout=1)
    predicted, measured = both(experiment([(0.05, HANG), (2.5, 0.02)], server, LIVENESS))
    assert outcomes(predicted) == outcomes(measured) == ["unfinished", "ok"]
    for run in (predicted, measured):
        assert moments(run, "container", "pod") == []
        assert len(run.probes) >= 5
        assert all(probed.success for probed in run.probes)
        assert len({probed.request.worker for probed in run.probes[1:]}) == 1


def test_short_overload_becomes_an_outage() -> None:
    """The probe waits in the accept queue behind 2 s of work, which the server would have done."""
    burst = [(0.5 + 0.01 * number, 0.1) for number in range(20)]
    server = Server(workers=1, worker_class="sync")
    asked = experiment([*burst, (4.5, 0.02)], server, LIVENESS)
    predicted, measured = both(asked)
    assert set(outcomes(predict(replace(asked, probes=())))) == {"ok"}
    agree(predicted, measured, "container", "pod")
    lost = [run.requests.outcome.count(OUTCOMES.index("reset")) for run in (predicted, measured)]
    assert lost[0] > 5
    assert abs(lost[1] - lost[0]) <= 1
    assert outcomes(predicted)[-1] == outcomes(measured)[-1] == "ok"


def test_readiness_takes_the_pod_out_and_back() -> None:
    """Clients are refused while a long request keeps the only worker from answering the probe."""
    probe = Probe("readiness", period=0.4, timeout=0.2, failure_threshold=2)
    rows = [(0.05, 1.6), *((0.3 + 0.1 * number, 0.01) for number in range(24))]
    asked = experiment(rows, Server(workers=1, worker_class="sync"), probe)
    predicted, measured = both(asked)
    agree(predicted, measured, "pod")
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


def test_startup_probe_holds_the_others_back() -> None:
    """No liveness probe before the new container has answered: its boot is never cut short."""
    server = Server(workers=1, threads=1, worker_class="gthread")
    startup = Probe("startup", period=0.2, timeout=0.15, failure_threshold=30)
    impatient = replace(LIVENESS, period=0.2, timeout=0.15)
    predicted, measured = both(experiment([(0.05, HANG), (4.5, 0.02)], server, startup, impatient))
    for run in (predicted, measured):
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


def test_probes_come_at_the_same_times_to_both() -> None:
    """Their first tick is drawn from the experiment's streams."""
    asked = experiment([(0.1, 0.01), (2.0, 0.01)], Server(workers=1), LIVENESS)
    predicted, measured = both(asked)
    first = Prober(asked, 0, LIVENESS).first
    for run in (predicted, measured):
        arrivals = [probed.request.arrival for probed in run.probes]
        expected = [first + 0.4 * number for number in range(len(arrivals))]
        assert arrivals == pytest.approx(expected, abs=0.05)
        assert all(probed.success and probed.request.worker == 1 for probed in run.probes)


def test_nginx_and_a_readiness_probe_are_refused() -> None:
    """The rig cannot take a server out of a real nginx."""
    probe = Probe("readiness")
    asked = replace(experiment([(0.1, 0.1)], Server(), probe), proxy=Proxy(kind="nginx"))
    with pytest.raises(ExperimentError, match="expected one of them"):
        measure(asked, 0, lambda *_: None)


def test_ctrl_c_while_the_container_is_down_leaves_nothing() -> None:
    """Its probe fails at once and for ever, so that it is ended, started, and ended again."""
    command = [sys.executable, "-m", "reference_app", "measure", "--workers", "1", "--rate", "5"]
    command += ["--duration", "60", "--replications", "1", "--io", "const:0.01", "--probe"]
    command += ["liveness period=0.2 timeout=0.1 failure_threshold=1 io=const:1"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        children: set[psutil.Process] = set()
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            children |= set(psutil.Process(process.pid).children(recursive=True))
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert len(children) > 3
    _, alive = psutil.wait_procs(children, timeout=3)
    assert alive == []
