"""The whole way: requests, real Gunicorn, a run, a summary, a comparison; and nothing left over."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from own_processes import OwnProcesses
from waiting import wait_for

from reference_app.rig.measure import measure
from reference_app.rig.run_progress import done
from sim.experiment import Experiment, Server, TraceRow, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from sim.run import Run, load

RIG = [sys.executable, "-m", "reference_app"]
GTHREAD = Server(workers=2, threads=2, preload_app=True)
OPEN = Traffic(rate=100.0, requests=60, io=Distribution.parse("uniform:0.001,0.005"))
CLOSED = replace(OPEN, arrivals="closed", users=3, think=Distribution.parse("const:0.01"))
TRACE = Traffic(arrivals="trace", trace=tuple(TraceRow(n / 100, 0.004, 0.001) for n in range(60)))

#: s that a command may take; most is Python's and Gunicorn's start.
LIMIT = 60


def measured(experiment: Experiment) -> Run:
    return measure(experiment, 0, lambda *_: None)


def assert_sound(run: Run, experiment: Experiment) -> None:
    """Every request was answered, and everything that the rig can see of it is there."""
    server = experiment.server
    assert run.source == "reference_app"
    assert len(run.requests) == 60
    for request in run.requests:
        assert request.outcome == "ok"
        assert 1 <= request.worker <= server.workers
        assert 1 <= request.thread <= server.threads
        assert request.arrival < request.started < request.finished
        assert request.finished - request.started >= request.io + request.cpu
    if experiment.traffic.connection == "new":
        # Of a few kept connections one worker may have them all.
        assert {request.worker for request in run.requests} == {1, 2}
    kinds = [event.kind for event in run.events if event.time < 0]
    assert kinds.count("fork") == kinds.count("ready") == server.workers


@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(GTHREAD, traffic=OPEN),
        Experiment(GTHREAD, traffic=replace(OPEN, connection="keepalive")),
        Experiment(GTHREAD, traffic=TRACE),
        Experiment(Server(workers=2, preload_app=True), traffic=OPEN),
    ],
    ids=["new", "keepalive", "trace", "sync"],
)
def test_an_open_loop_is_sent_as_it_is_predicted(experiment: Experiment) -> None:
    run = measured(experiment)
    assert_sound(run, experiment)
    predicted = predict(experiment).requests
    assert run.requests.arrival == predicted.arrival
    assert run.requests.io == predicted.io
    assert run.requests.cpu == predicted.cpu


@pytest.mark.parametrize("connection", ["new", "keepalive"])
def test_a_closed_loop_demands_what_is_predicted(connection: str) -> None:
    traffic = replace(CLOSED, connection=connection)  # type: ignore[arg-type]
    experiment = Experiment(GTHREAD, traffic=traffic)
    run = measured(experiment)
    assert_sound(run, experiment)
    assert list(run.requests.arrival) == sorted(run.requests.arrival)
    # Each user's demands are fixed; whose turn is next depends on the answers.
    longer = Experiment(GTHREAD, traffic=replace(traffic, requests=180))
    assert set(run.requests.io) < set(predict(longer).requests.io)


def commanded(tmp_path: Path, command: str, schema_name: str) -> tuple[Any, list[Run]]:
    """The document that a command prints of two measurements of the same 60 requests, and the runs.

    It is as the schema says.
    """
    path, page = tmp_path / "saved.run", tmp_path / "report.html"
    flags = ["--workers", "2", "--threads", "2", "--preload", "--max-requests", "1000"]
    traffic = ["--rate", "100", "--requests", "60", "--io", "const:0.005"]
    output = ["--repeat", "2", "--json", "--save", str(path), "--report", str(page)]
    completed = subprocess.run(
        [*RIG, *command.split(), *flags, *traffic, *output],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    value = json.loads(completed.stdout)
    schema = files("sim.reports").joinpath("schema", schema_name).read_text("utf-8")
    jsonschema.validate(value, json.loads(schema))
    runs = load(path)
    shown = page.read_text(encoding="utf-8")
    assert f"python -m reference_app {command}" in shown
    assert "Requests in the server" in shown
    assert all(run.replication == 0 for run in runs)
    assert all(run.requests.arrival == runs[0].requests.arrival for run in runs)
    return value, runs


def test_measure_says_that_it_is_measured(tmp_path: Path) -> None:
    value, runs = commanded(tmp_path, "measure", "summary.schema.json")
    assert value["source"] == "reference_app"
    assert value["gunicorn"] == version("gunicorn")
    assert value["replications"] == 2
    assert value["outcomes"]["ok"] == 120
    assert value["experiment"]["replications"] == 1
    assert any("measured 2 times" in notice for notice in value["notices"])
    assert [run.source for run in runs] == ["reference_app"] * 2


def test_compare_measures_what_it_predicts(tmp_path: Path) -> None:
    value, runs = commanded(tmp_path, "compare --variants 3", "comparison.schema.json")
    assert (value["repeats"], value["variants"]) == (2, 3)
    assert value["gunicorn"] == {"predicted": "27.0.1", "measured": version("gunicorn")}
    assert value["outcomes"]["predicted"]["ok"] == value["outcomes"]["measured"]["ok"] == 60
    figures = {figure["name"]: figure for figure in value["figures"]}
    # Loose bounds, for any machine: both took the 5 ms that each request waits, and not ten times.
    for side in ("predicted", "measured", "ideal"):
        assert 0.005 <= figures["latency_mean"][side] < 0.05
    assert figures["latency_mean"]["verdict"] is not None
    assert [run.source for run in runs] == ["reference_app"] * 2 + ["sim"] * 3


def test_ctrl_c_leaves_no_process_and_no_file(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnProcesses(request.node.nodeid, monkeypatch)
    command = [*RIG, "measure", "--workers", "2", "--threads", "2", "--launchdarkly"]
    process = subprocess.Popen(
        [*command, "--rate", "50", "--duration", "600", "--save", str(tmp_path / "measured.run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # The rig, the flag service, Gunicorn's master and its two workers, the load generator.
        wait_for(lambda: len(own.pids()) == 6, "the sixth process", LIMIT)
        time.sleep(1.5)  # Requests are under way.
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
        assert time.monotonic() - began < 5
        assert (process.returncode, out, err) == (130, "", "")
        assert own.pids() == set()
        assert list(tmp_path.iterdir()) == []
    finally:
        process.kill()
        process.wait()
        for pid in own.pids():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("traffic", "answered", "clock", "fraction"),
    [
        (Traffic(duration=30.0), 0, 15.0, 0.5),
        (Traffic(rate=10.0, requests=100), 7, 5.0, 0.5),
        (Traffic(arrivals="closed", duration=20.0), 7, 5.0, 0.25),
        (Traffic(arrivals="closed", requests=50), 10, math.inf, 0.2),
        (TRACE, 0, 0.59 / 2, 0.5),
        (Traffic(arrivals="trace", trace=(TraceRow(0.0, 1.0, 0.0),)), 0, 0.0, 1.0),
        (Traffic(duration=30.0), 0, 31.0, 1.0),
    ],
)
def test_how_much_of_a_run_is_over(
    traffic: Traffic, answered: int, clock: float, fraction: float
) -> None:
    assert done(traffic, answered, clock) == pytest.approx(fraction)
