"""The trace file: of the format, and of what happened."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from disturbed_run import NAN, disturbed_run, rows_of
from queue_run import experiment_of, queue_run

from sim.errors import ExperimentError
from sim.experiment import Experiment, Route, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Hang, Signal
from sim.model.simulation import predict
from sim.reports.chrome_trace import save
from sim.run import OK, TIMEOUT, Requests, Run

#: Keys that each phase must have, beside those of all.
KEYS = {
    "M": {"args"},
    "X": {"dur", "cat", "args"},
    "i": {"s"},
    "b": {"cat", "id2"},
    "e": {"cat", "id2"},
    "C": {"args"},
}
ALL = {"ph", "name", "pid", "tid", "ts"}

Record = dict[str, Any]


def trace_of(tmp_path: Path, **runs: Run) -> list[Record]:
    """The trace events of runs, each found to be of the format; ``run`` has no word of its own."""
    path = tmp_path / "trace.json"
    save({"" if word == "run" else word: run for word, run in runs.items()}, path)
    assert [found.name for found in tmp_path.iterdir()] == ["trace.json"]
    document = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert document["displayTimeUnit"] == "ms"
    records: list[Record] = document["traceEvents"]
    check(records)
    return records


def check(records: list[Record]) -> None:
    """What Perfetto and chrome://tracing ask of the file, as far as it can be told from it."""
    for record in records:
        assert record.keys() >= ALL | KEYS[record["ph"]]
        assert isinstance(record["ts"], int)
        assert record["ts"] >= 0
        assert min(record["pid"], record["tid"]) >= 1
    named = {(r["pid"], r["tid"]) for r in records if r["name"] == "thread_name"}
    assert {(r["pid"], r["tid"]) for r in records} == named
    assert len({tid for _, tid in named}) == len(named)
    tracks: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for record in records:
        if record["ph"] == "X":
            assert record["dur"] >= 0
            tracks[record["tid"]].append((record["ts"], record["ts"] + record["dur"]))
    for slices in tracks.values():
        for (_, end), (begin, _) in pairwise(sorted(slices)):
            assert end <= begin
    begins = {number_of(r): r["ts"] for r in records if r["ph"] == "b"}
    ends = {number_of(r): r["ts"] for r in records if r["ph"] == "e"}
    assert begins.keys() == ends.keys()
    assert (
        len(begins) == sum(r["ph"] == "b" for r in records) == sum(r["ph"] == "e" for r in records)
    )
    assert all(begins[number] <= ends[number] for number in begins)


def number_of(record: Record) -> tuple[int, str, int]:
    """What joins the end of a slice that may overlap others to its begin."""
    return record["id2"]["local"], record["cat"], record["pid"]


def names(records: list[Record], kind: str = "process_name") -> dict[int, str]:
    """What processes, or threads, are called, by their number."""
    number = "pid" if kind == "process_name" else "tid"
    return {r[number]: r["args"]["name"] for r in records if r["name"] == kind}


def spans(records: list[Record], process: str) -> list[tuple[str, int, int]]:
    """(name, begin, end in us) of the slices of a process that may overlap."""
    (pid,) = (pid for pid, name in names(records).items() if name == process)
    ends = {number_of(r): r["ts"] for r in records if r["ph"] == "e"}
    mine = (r for r in records if r["ph"] == "b" and r["pid"] == pid)
    return [(r["name"], r["ts"], ends[number_of(r)]) for r in mine]


def slices(records: list[Record], thread: str, process: str) -> list[Record]:
    processes, threads = names(records), names(records, "thread_name")
    return [
        r
        for r in records
        if r["ph"] == "X" and threads[r["tid"]] == thread and processes[r["pid"]] == process
    ]


def series(records: list[Record], counter: str, key: str) -> list[tuple[int, int]]:
    return [(r["ts"], r["args"][key]) for r in records if r["ph"] == "C" and r["name"] == counter]


# --- a whole run ---------------------------------------------------------------------------------


IO = Distribution("const", (0.01,))


def test_a_slice_says_the_route_of_its_request(tmp_path: Path) -> None:
    routes = (Route("/a", 0.5, IO), Route("/b", 0.5, IO))
    run = predict(Experiment(traffic=Traffic(rate=20.0, requests=30, routes=routes)))
    slices = [r for r in trace_of(tmp_path, run=run) if r["ph"] == "X" and "row" in r["args"]]
    assert len(slices) == 30
    for record in slices:
        assert record["args"]["route"] == run.requests[record["args"]["row"]].route


def test_every_request_is_a_slice_and_counts_once(tmp_path: Path) -> None:
    experiment = experiment_of(server={"workers": 2, "threads": 2}, traffic={"rate": 56.0})
    run = queue_run(experiment, requests=300, shares=(0.6, 0.4))
    records = trace_of(tmp_path, run=run)
    drawn = {r["args"]["row"]: r for r in records if r["ph"] == "X"}
    assert sorted(drawn) == list(range(300))
    threads, processes = names(records, "thread_name"), names(records)
    for row, request in enumerate(run.requests):
        record = drawn[row]
        assert processes[record["pid"]] == f"worker {request.worker}"
        assert threads[record["tid"]] == f"thread {request.thread}"
        assert record["ts"] == pytest.approx(1e6 * request.started, abs=1)
        assert record["dur"] == pytest.approx(1e6 * (request.finished - request.started), abs=2)
        assert record["args"]["latency_s"] == request.latency
        assert record["args"]["wait_s"] == request.wait
        assert (record["args"]["io_s"], record["args"]["cpu_s"]) == (request.io, request.cpu)
        assert record["args"]["outcome"] == "ok"
    waiting = series(records, "requests", "waiting")
    serving = series(records, "requests", "in service")
    assert waiting[-1][1] == serving[-1][1] == 0
    assert min(number for _, number in (*waiting, *serving)) == 0
    assert max(number for _, number in serving) == 4
    assert [time for time, _ in waiting] == sorted({time for time, _ in waiting})
    # Each was accepted as it came, so all waits are inside the workers.
    assert spans(records, "kernel") == []
    inside = spans(records, "worker 1") + spans(records, "worker 2")
    assert {name for name, _, _ in inside} == {"waiting for a thread"}
    total = sum(end - begin for _, begin, end in inside)
    assert total == pytest.approx(1e6 * sum(r.wait for r in run.requests), abs=300)
    assert total == pytest.approx(area(waiting), abs=300)


def area(steps: list[tuple[int, int]]) -> int:
    """The integral of a counter over us."""
    return sum(number * (later - time) for (time, number), (later, _) in pairwise(steps))


def test_a_run_that_knows_little(tmp_path: Path) -> None:
    records = trace_of(tmp_path, run=Run("sim", experiment_of(), 0, Requests()))
    assert list(names(records).values()) == ["master", "kernel", "worker 1", "clients"]
    assert {record["ph"] for record in records} == {"M"}


# --- requests ------------------------------------------------------------------------------------


def request_of(**columns: float) -> Run:
    """A run of one request that arrives at 1 s; server of 1 worker x 1 thread."""
    rows = rows_of((1.0, NAN, NAN, "unfinished"))
    for name, value in columns.items():
        getattr(rows, name)[0] = value
    return disturbed_run([], [], rows, workers=1, threads=1)


def test_who_waited_where(tmp_path: Path) -> None:
    answered = {"started": 1.5, "finished": 1.75, "worker": 1, "thread": 1, "outcome": OK}
    records = trace_of(tmp_path, run=request_of(accepted=1.25, **answered))
    assert spans(records, "kernel") == [("accept queue", 1_400_000, 1_650_000)]
    assert spans(records, "worker 1") == [("waiting for a thread", 1_650_000, 1_900_000)]
    measured = trace_of(tmp_path, run=request_of(**answered))
    assert spans(measured, "kernel") == []
    assert spans(measured, "worker 1") == [("waiting", 1_400_000, 1_900_000)]


def test_who_was_lost_is_with_the_clients(tmp_path: Path) -> None:
    records = trace_of(tmp_path, run=request_of(finished=2.0, outcome=TIMEOUT))
    assert spans(records, "clients") == [("timeout", 1_400_000, 2_400_000)]
    assert spans(records, "worker 1") == []
    assert series(records, "requests", "waiting") == [(1_400_000, 1), (2_400_000, 0)]
    assert series(records, "requests", "in service") == [(1_400_000, 0), (2_400_000, 0)]


def test_who_was_never_answered_is_there_to_the_end(tmp_path: Path) -> None:
    run = disturbed_run(
        [Hang(2.0)],
        [(3.0, "hang set", "worker 1")],
        rows_of((1.0, 1.5, NAN, "unfinished"), (1.0, NAN, NAN, "unfinished")),
    )
    records = trace_of(tmp_path, run=run)
    (served,) = slices(records, "thread 1", "worker 1")
    assert (served["ts"], served["dur"]) == (1_900_000, 1_500_000)
    assert served["args"]["latency_s"] is None
    assert served["name"] == "request: unfinished"
    assert spans(records, "clients") == [("unfinished", 1_400_000, 3_400_000)]


def test_neighbours_on_a_thread_do_not_overlap(tmp_path: Path) -> None:
    # The client hears of the first when the thread has long begun with the second.
    rows = rows_of((1.0, 1.0, 1.6, "ok"), (1.1, 1.5, 2.0, "ok"), (1.2, 2.0, 2.1, "ok"))
    records = trace_of(tmp_path, run=disturbed_run([], [], rows))
    drawn = [(r["ts"], r["dur"]) for r in slices(records, "thread 1", "worker 1")]
    assert sorted(drawn) == [(1_400_000, 500_000), (1_900_000, 500_000), (2_400_000, 100_000)]


def test_a_client_that_has_gone_leaves_the_work_behind(tmp_path: Path) -> None:
    # It started after the client had given up, and takes the 10 ms that it asks for.
    rows = rows_of((1.0, 2.0, 1.5, "timeout"), (3.0, 3.0, 3.5, "ok"))
    records = trace_of(tmp_path, run=disturbed_run([], [], rows))
    first, _ = slices(records, "thread 1", "worker 1")
    assert (first["ts"], first["dur"]) == (2_400_000, 10_000)
    assert ("waiting", 1_400_000, 2_400_000) in spans(records, "worker 1")


def test_a_thread_that_is_not_known(tmp_path: Path) -> None:
    run = request_of(started=1.5, finished=1.75, worker=1, thread=0, outcome=OK)
    records = trace_of(tmp_path, run=run)
    assert spans(records, "worker 1")[1:] == [("request", 1_900_000, 2_150_000)]


def test_a_thread_that_nobody_asked_for(tmp_path: Path) -> None:
    run = request_of(started=1.5, finished=1.75, worker=1, thread=3, outcome=OK)
    (served,) = slices(trace_of(tmp_path, run=run), "thread 3", "worker 1")
    assert served["ts"] == 1_900_000


# --- processes -----------------------------------------------------------------------------------


def test_what_happened_to_processes(tmp_path: Path) -> None:
    run = disturbed_run(
        [Signal(10.0, "USR2", "master")],
        [
            (1.0, "rate 9", "clients"),
            (2.0, "unreachable", "flag service"),
            (10.0, "sent SIGUSR2", "master"),
            (10.5, "listening", "master 2"),
            (11.0, "fork", "worker 10"),
            (12.0, "boot failed", "worker 10"),
            (12.1, "exit", "worker 10"),
            (12.5, "fork", "worker 3"),
            (13.0, "exiting", "worker 2"),
        ],
    )
    records = trace_of(tmp_path, run=run)
    workers = ["worker 1", "worker 2", "worker 3", "worker 10"]
    found = [*workers, "clients", "flag service"]
    assert list(names(records).values()) == ["master", "master 2", "kernel", *found]
    zero = run.events[0].time
    assert [(r["ts"], r["name"], names(records)[r["pid"]]) for r in records if r["ph"] == "i"] == [
        (round(1e6 * (time - zero)), kind, process) for time, kind, process in run.events
    ]
    boots = {
        worker: [(r["ts"], r["dur"]) for r in slices(records, "main thread", worker)]
        for worker in workers
    }
    assert boots == {
        "worker 1": [(100_000, 100_000)],
        "worker 2": [(200_000, 100_000)],
        "worker 3": [(12_900_000, 500_000)],
        "worker 10": [(11_400_000, 1_000_000)],
    }
    assert series(records, "capacity", "threads") == [
        (200_000, 2),
        (300_000, 4),
        (13_400_000, 2),
    ]


def test_hangs_may_overlap(tmp_path: Path) -> None:
    run = disturbed_run(
        [Hang(1.0, 1, 2, 2.0), Hang(1.0, 2, 1, 3600.0)],
        [
            (1.0, "hang", "worker 1"),
            (2.0, "hang", "worker 1"),
            (2.5, "hang", "worker 2"),
            (3.0, "hang over", "worker 1"),
            (3.5, "crash", "worker 1"),
            (5.0, "exit", "worker 1"),
        ],
    )
    records = trace_of(tmp_path, run=run)
    assert spans(records, "worker 1") == [
        ("hang", 1_400_000, 3_400_000),
        ("hang", 2_400_000, 3_900_000),
    ]
    assert spans(records, "worker 2") == [("hang", 2_900_000, 5_400_000)]


# --- the file ------------------------------------------------------------------------------------


def test_two_runs_are_beside_each_other(tmp_path: Path) -> None:
    rows = rows_of((1.0, 1.0, 1.5, "ok"))
    predicted = disturbed_run([], [], rows)
    measured = disturbed_run([], [(-2.0, "fork", "worker 9")], rows, source="reference_app")
    records = trace_of(tmp_path, predicted=predicted, measured=measured)
    assert {"predicted worker 1", "measured worker 1", "measured worker 9"} <= set(
        names(records).values()
    )
    (one,) = slices(records, "thread 1", "predicted worker 1")
    (other,) = slices(records, "thread 1", "measured worker 1")
    # One clock for both: it begins with the earliest moment of either.
    assert one["ts"] == other["ts"] == 3_000_000
    document = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    assert document["otherData"]["zero_s"] == -2.0
    assert set(document["otherData"]) == {"zero_s", "zero", "gunicorn"}


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"no/trace\.json: cannot be written \(No such file"):
        save({"": disturbed_run([])}, tmp_path / "no" / "trace.json")


def test_a_save_that_fails_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    save({"": disturbed_run([])}, path)
    before = path.read_bytes()
    broken = rows_of((1.0, 1.0, 1.5, "ok"))
    broken.io[0] = math.inf
    with pytest.raises(ValueError, match="not JSON compliant"):
        save({"": disturbed_run([], [], broken)}, path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["trace.json"]
