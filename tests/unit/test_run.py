"""Runs on disk: whole or not at all, and the same after as before."""

from __future__ import annotations

import json
import math
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.errors import ExperimentError
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from sim.reading.experiment_file import from_dict
from sim.run import (
    OUTCOMES,
    SCHEMA,
    Census,
    Memory,
    ProcessEvent,
    QueueLength,
    Requests,
    Run,
    load,
    save,
)

EXPERIMENT = Experiment(
    server=Server(workers=2, threads=2),
    traffic=Traffic(rate=20.0, requests=30, io=Distribution("exp", (0.05,))),
)

HEADER = {
    "schema": SCHEMA,
    "source": "sim",
    "replication": 0,
    "requests": 1,
    "experiment": {},
    "queues": [],
}
REQUEST = {"request": [0.0, 0.1, 0.2, 0.3, 1, 1, "ok", 0.1, 0.0]}


def every_outcome() -> Run:
    """A run with one request of each outcome, as far as each gets."""
    n = len(OUTCOMES)
    times = array("d", (0.1 * number for number in range(n)))
    requests = Requests.scheduled(times, array("d", [0.05] * n), array("d", [1e-3 / 3] * n))
    for row in range(n):
        requests.outcome[row] = row
    requests.accepted[0], requests.started[0], requests.finished[0] = 0.01, 0.02, 0.1 + 0.2
    requests.worker[0], requests.thread[0] = 2, 7
    requests.finished[3] = 67.3
    events = (ProcessEvent(-1.5, "listening", "master"), ProcessEvent(-0.25, "ready", "worker 1"))
    queues = (QueueLength("accept queue", 0.1, 3), QueueLength("worker 1", 1 / 3, 2))
    census = (Census(1, 13, 2), Census(3, 3, 0))
    experiment = {"seed": 1, "server": {"workers": 2}}
    memory = Memory(80_000_000, 23_000_000, 19_000_000, 19_000_000)
    return Run("reference_app", experiment, 4, requests, events, queues, census, memory)


def comparable(run: Run) -> tuple[object, ...]:
    """A run as values of which equals are equal: NaN, which never is, as None."""
    rows = [
        tuple(None if isinstance(v, float) and math.isnan(v) else v for v in row)
        for row in run.requests
    ]
    seen = (run.events, run.queues, run.census, run.memory)
    return run.source, run.experiment, run.replication, rows, *seen


def written(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    run = every_outcome()
    save([run], tmp_path / "a.run")
    (back,) = load(tmp_path / "a.run")
    assert comparable(back) == comparable(run)
    assert [row.outcome for row in back.requests] == list(OUTCOMES)


def test_a_predicted_run_and_its_experiment_come_back(tmp_path: Path) -> None:
    run = predict(EXPERIMENT, 3)
    save([run], tmp_path / "a.run")
    (back,) = load(tmp_path / "a.run")
    assert comparable(back) == comparable(run)
    assert from_dict(back.experiment, "a.run") == EXPERIMENT


def test_what_was_loaded_is_saved_as_the_same_bytes(tmp_path: Path) -> None:
    save([every_outcome(), predict(EXPERIMENT)], tmp_path / "a.run")
    save(load(tmp_path / "a.run"), tmp_path / "b.run")
    assert (tmp_path / "a.run").read_bytes() == (tmp_path / "b.run").read_bytes()


def test_two_runs_in_one_file(tmp_path: Path) -> None:
    runs = [predict(EXPERIMENT, number) for number in range(2)]
    save(iter(runs), tmp_path / "a.run")
    back = load(tmp_path / "a.run")
    assert [comparable(run) for run in back] == [comparable(run) for run in runs]
    assert [run.replication for run in back] == [0, 1]


def test_every_line_is_json_that_other_programs_can_read(tmp_path: Path) -> None:
    save([every_outcome()], tmp_path / "a.run")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    for line in (tmp_path / "a.run").read_text(encoding="utf-8").splitlines():
        assert isinstance(json.loads(line, parse_constant=refuse), dict)


def test_a_run_without_requests(tmp_path: Path) -> None:
    save([Run("sim", {}, 0, Requests())], tmp_path / "a.run")
    (back,) = load(tmp_path / "a.run")
    assert len(back.requests) == 0


def refused(path: Path) -> str:
    """The one line that refuses a file and names it."""
    with pytest.raises(ExperimentError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.run"
    save([every_outcome()], path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for kept in range(1, len(lines)):
        path.write_text("".join(lines[:kept]), encoding="utf-8")
        assert "early" in refused(path)


def test_a_file_that_ends_within_a_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.run"
    save([every_outcome()], path)
    whole = path.read_bytes()
    last_line = len(whole) - len(whole.splitlines()[-1])
    path.write_bytes(whole[: last_line + 5])
    number = len(whole.splitlines())
    assert f"line {number}" in refused(path)


def test_a_run_that_ends_before_the_next_begins_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.run", HEADER, HEADER, REQUEST)
    assert "line 2" in (message := refused(path))
    assert "1 requests are missing" in message


def test_another_schema_is_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.run", {**HEADER, "schema": "gunicorn-run/99"}, REQUEST)
    message = refused(path)
    assert "line 1" in message
    assert "'gunicorn-run/99'" in message
    assert SCHEMA in message


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"request": [0.0, None]}, id="too few columns"),
        pytest.param({"request": [*REQUEST["request"], 1]}, id="too many columns"),
        pytest.param({"request": [0, 0, 0, 0, 1, 1, "lost", 0, 0]}, id="unknown outcome"),
        pytest.param({"request": [0, 0, 0, 0, 1.5, 1, "ok", 0, 0]}, id="half a worker"),
        pytest.param({"request": [0, 0, 0, 0, 2**40, 1, "ok", 0, 0]}, id="huge worker"),
        pytest.param({"request": ["soon", 0, 0, 0, 1, 1, "ok", 0, 0]}, id="time in words"),
        pytest.param({"event": [0.0, "ready"]}, id="event without process"),
        pytest.param({"surprise": 1}, id="unknown record"),
        pytest.param([1, 2], id="a list"),
        pytest.param(7, id="a number"),
    ],
)
def test_a_line_that_is_not_understood_is_named(tmp_path: Path, record: object) -> None:
    assert "line 2" in refused(written(tmp_path / "a.run", HEADER, record))


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"not json\n", b"\xff\xfe\x00", b"arrival_s,io_s,cpu_s\n0,1,2\n"]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.run"
    path.write_bytes(content)
    refused(path)


def test_more_requests_than_announced_are_refused(tmp_path: Path) -> None:
    message = refused(written(tmp_path / "a.run", HEADER, REQUEST, REQUEST))
    assert "line 3" in message
    assert "its run was to have 1 requests, and this is one more" in message


@pytest.mark.parametrize("source", ["guess", "", None, 1, ["sim"]])
def test_another_source_is_refused_by_name(tmp_path: Path, source: object) -> None:
    message = refused(written(tmp_path / "a.run", {**HEADER, "source": source}, REQUEST))
    assert "line 1" in message
    assert f"source is {source!r}; expected sim or reference_app" in message


def test_a_file_of_before_there_was_a_census(tmp_path: Path) -> None:
    (run,) = load(written(tmp_path / "a.run", HEADER, REQUEST))
    assert run.census == ()
    assert run.memory is None


@pytest.mark.parametrize("row", [{"worker": 1}, {"worker": 1, "threads": 2, "pids": 3}, 7])
def test_a_census_that_is_not_understood_is_refused(tmp_path: Path, row: object) -> None:
    assert "line 1" in refused(written(tmp_path / "a.run", {**HEADER, "census": [row]}, REQUEST))


@pytest.mark.parametrize("memory", [{"total": 1}, {"bytes": 1}, 7])
def test_a_memory_that_is_not_understood_is_refused(tmp_path: Path, memory: object) -> None:
    assert "line 1" in refused(written(tmp_path / "a.run", {**HEADER, "memory": memory}, REQUEST))


def test_many_events_are_read_quickly(tmp_path: Path) -> None:
    events = [{"event": [number / 1000, "ready", "worker 1"]} for number in range(40_000)]
    path = written(tmp_path / "a.run", HEADER, *events, REQUEST)
    before = time.process_time()
    (run,) = load(path)
    # About 0.15 s where it was written; when each event copied all before it, many times that.
    assert time.process_time() - before < 2.0
    assert len(run.events) == 40_000
    assert run.events[-1] == ProcessEvent(39.999, "ready", "worker 1")


def test_a_row_before_any_run_is_refused(tmp_path: Path) -> None:
    assert "line 1" in refused(written(tmp_path / "a.run", REQUEST))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere.run")
    refused(tmp_path)


def test_a_save_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def stopped() -> Iterator[Run]:
        yield every_outcome()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(stopped(), tmp_path / "a.run")
    assert list(tmp_path.iterdir()) == []


def test_a_save_that_fails_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.run"
    save([every_outcome()], path)
    before = path.read_bytes()
    unwritable = Run("sim", {"not": {1, 2}}, 0, Requests())
    with pytest.raises(TypeError):
        save([every_outcome(), unwritable], path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["a.run"]


def test_a_save_replaces_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.run"
    save([predict(EXPERIMENT)], path)
    save([every_outcome()], path)
    assert len(load(path)) == 1
    assert [found.name for found in tmp_path.iterdir()] == ["a.run"]


def test_times_of_a_request() -> None:
    requests = Requests()
    row = requests.append(1.0, 0.05, 0.0)
    assert math.isnan(requests[row].latency)
    assert math.isnan(requests[row].wait)
    assert requests[row].outcome == "unfinished"
    requests.started[row], requests.finished[row] = 1.25, 1.5
    assert (requests[row].wait, requests[row].latency) == (0.25, 0.5)
