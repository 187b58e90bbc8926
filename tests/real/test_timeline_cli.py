"""``--timeline`` and ``--trace-out`` of both commands; the rig in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from commands import Done, Main, run_here

from reference_app.cli import main as rig_main
from sim.cli import main as sim_main
from sim.run import load

RIG = [sys.executable, "-m", "reference_app"]
SMALL = ["--workers", "2", "--threads", "2", "--requests", "100", "--replications", "2"]

#: Takes minutes; a command that starts it before it looks at something cheaper is found out.
ENDLESS = ["--requests", "20000000"]

#: s that a command may take; most is Python's and Gunicorn's start.
LIMIT = 60

#: Worker 1 of two is killed after 1 of 2 s.
KILLED = """
replications = 1
[server]
workers = 2
threads = 2
preload_app = true
[traffic]
rate = 50.0
duration = 2.0
io = "const:0.005"
[[disturbance]]
at = 1.0
kind = "signal"
signal = "KILL"
worker = 1
"""


def shell(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)


Sim = Callable[..., Done]


@pytest.fixture
def sim(capsys: pytest.CaptureFixture[str]) -> Sim:
    """``python -m sim``."""
    return lambda *words: run_here(sim_main, words, capsys)


def trace(path: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    return records


def requests(records: list[dict[str, Any]]) -> int:
    return sum(r["ph"] == "X" and r["cat"] == "request" for r in records)


def processes(records: list[dict[str, Any]]) -> list[str]:
    return [r["args"]["name"] for r in records if r["name"] == "process_name"]


def experiment(tmp_path: Path) -> list[str]:
    path = tmp_path / "killed.toml"
    path.write_text(KILLED, encoding="utf-8")
    return ["--experiment", str(path)]


# --- predicted -----------------------------------------------------------------------------------


def test_the_timeline_comes_after_the_report(sim: Sim) -> None:
    report = sim(*SMALL).stdout
    done = sim(*SMALL, "--timeline")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(report)
    lines = done.stdout.removeprefix(report).splitlines()
    assert sum(line.endswith("is ready for requests") for line in lines) == 2
    assert any(line.split() == [line.split()[0], "master", "listens"] for line in lines if line)
    assert max(map(len, lines)) <= 80
    assert "is ready for requests" not in report


def test_the_document_has_the_events_anyway(sim: Sim) -> None:
    assert sim(*SMALL, "--json", "--timeline").stdout == sim(*SMALL, "--json").stdout


def test_the_first_replication_is_traced(sim: Sim, tmp_path: Path) -> None:
    save, out = tmp_path / "a.run", tmp_path / "trace.json"
    done = sim(*SMALL, "--save", str(save), "--trace-out", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == sim(*SMALL).stdout
    first, _ = load(save)
    records = trace(out)
    assert requests(records) == 100
    shown = sorted(r["args"]["latency_s"] for r in records if r.get("cat") == "request")
    assert shown == sorted(request.latency for request in first.requests)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.run", "trace.json"]


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize(
    ("main", "command"),
    [(sim_main, []), (rig_main, ["measure"]), (rig_main, ["compare"])],
    ids=["sim", "measure", "compare"],
)
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["no/t.json"], "no/t.json: cannot be written (No such file or directory)"),
        (["."], ".: is a directory; expected a file to save to"),
        ([""], "--trace-out is ''; expected a file to save to"),
        (
            ["both", "--save", "both"],
            "--trace-out and --save are both 'both'; expected two different files",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path,
    main: Main,
    command: list[str],
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_here(main, [*command, *ENDLESS, "--trace-out", *flags], capsys)
    assert done == (2, "", f"error: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_prediction_tells_what_a_disturbance_cost(sim: Sim, tmp_path: Path) -> None:
    done = sim(*experiment(tmp_path), "--timeline")
    assert (done.returncode, done.stderr) == (0, "")
    text = " ".join(done.stdout.split())
    assert "At 1.0 s: SIGKILL to worker 1. Capacity was back after " in text
    assert "1.000 worker 1 is sent SIGKILL" in text
    assert "worker 3 is ready for requests" in text


# --- measured ------------------------------------------------------------------------------------


def test_a_measurement_has_both_too(tmp_path: Path) -> None:
    out = tmp_path / "trace.json"
    flags = ["--timeline", "--trace-out", str(out)]
    done = shell([*RIG, "measure", *experiment(tmp_path), *flags])
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "At 1.0 s: SIGKILL to worker 1. Capacity was back after " in text
    assert "worker 1 is sent SIGKILL" in text
    assert "worker 3 is ready for requests" in text
    records = trace(out)
    assert processes(records) == ["master", "kernel", "worker 1", "worker 2", "worker 3", "clients"]
    assert requests(records) >= 80
    assert {4, 2} <= {r["args"]["threads"] for r in records if r["name"] == "capacity"}


def test_a_comparison_has_both_sides_of_everything(tmp_path: Path) -> None:
    out = tmp_path / "trace.json"
    flags = ["--repeat", "1", "--variants", "2", "--json", "--trace-out", str(out)]
    done = shell([*RIG, "compare", *experiment(tmp_path), *flags])
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    schema = (
        files("sim.reports")
        .joinpath("schema", "comparison.schema.json")
        .read_text(encoding="utf-8")
    )
    jsonschema.validate(value, json.loads(schema))
    (row,) = value["recovery"]
    assert row["what"] == "SIGKILL to worker 1"
    for side in ("predicted", "measured"):
        # Loose bounds, for any machine: a fork, and no import.
        assert 0 < row[side]["capacity_restored_after_s"] < 0.9
    ready = [event for event in value["timeline"] if event["kind"] == "ready"]
    assert [event["process"] for event in ready] == ["worker 1", "worker 2", "worker 3"]
    assert ready[2]["difference_s"] == ready[2]["predicted_s"] - ready[2]["measured_s"]
    records = trace(out)
    assert {"predicted worker 3", "measured worker 3"} <= set(processes(records))
    assert requests(records) >= 160
