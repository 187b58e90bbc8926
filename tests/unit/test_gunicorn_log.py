"""The log that Gunicorn would write: which lines come of which events, in each release.

Goal: a reader finds the very text in a log. Method: experiments are predicted and their log read;
that the texts are Gunicorn's is held to the source here, and to a running Gunicorn in
``tests/real/test_written_log.py``.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import files, version
from pathlib import Path

import pytest
from hypothesis import given, settings
from strategies import troubled

from sim.analysis.gunicorn_log import LINES, LogLine, gunicorn_log
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import BootError, Crash, Disturbance, FlagService, Hang, Signal
from sim.experiment.release import KNOWN, NEWEST
from sim.model.simulation import predict
from sim.run import ProcessEvent

TWO = Server(workers=2, threads=2, preload_app=True)


def log_of(
    *disturbances: Disturbance, server: Server = TWO, flags: bool = False
) -> list[tuple[int, str, str]]:
    """(pid, level, text) of each line once requests come."""
    experiment = Experiment(
        server,
        traffic=Traffic(rate=40.0, duration=4.0, io=Distribution("const", (0.02,))),
        launchdarkly=LaunchDarkly(enabled=flags, start_wait=1.0),
        disturbances=disturbances,
    )
    lines = gunicorn_log(predict(experiment))
    return [(line.pid, line.level, line.text) for line in lines if line.time > 0]


def test_a_start_is_three_lines_of_the_master_and_one_of_each_worker() -> None:
    lines = gunicorn_log(predict(Experiment(TWO, traffic=Traffic(duration=0.5))))
    assert [line[1:] for line in lines] == [
        (1, "INFO", f"Starting gunicorn {NEWEST}"),
        (1, "INFO", "Listening at: http://127.0.0.1:8000 (1)"),
        (1, "INFO", "Using worker: gthread"),
        (2, "INFO", "Booting worker with pid: 2"),
        (3, "INFO", "Booting worker with pid: 3"),
    ]
    assert [line.time for line in lines] == sorted(line.time for line in lines)


@pytest.mark.parametrize(
    ("release", "line"),
    [
        ("20.1.0", (1, "WARNING", "Worker with pid 2 was terminated due to signal 9")),
        ("23.0.0", (1, "ERROR", "Worker (pid:2) was sent SIGKILL! Perhaps out of memory?")),
        (NEWEST, (1, "ERROR", "Worker (pid:2) was sent SIGKILL! Perhaps out of memory?")),
    ],
)
def test_a_killed_worker(release: str, line: tuple[int, str, str]) -> None:
    lines = log_of(Signal(1.0, "KILL", worker=1), server=replace(TWO, gunicorn=release))
    assert lines == [line, (4, "INFO", "Booting worker with pid: 4")]


@pytest.mark.parametrize(
    ("release", "endings"),
    [
        ("20.1.0", []),
        (
            "23.0.0",
            ["Worker (pid:2) exited with code 1", "Worker (pid:2) exited with code 1."],
        ),
        (NEWEST, ["Worker (pid:2) exited with code 1."]),
    ],
)
def test_a_crash(release: str, endings: list[str]) -> None:
    lines = log_of(Crash(1.0, worker=1), server=replace(TWO, gunicorn=release))
    assert lines == [
        *((1, "ERROR", ending) for ending in endings),
        (4, "INFO", "Booting worker with pid: 4"),
    ]


def test_hup_and_term_to_the_master() -> None:
    lines = log_of(Signal(1.0, "HUP", "master"), Signal(2.0, "TERM", "master"))
    assert lines[:4] == [
        (1, "INFO", "Handling signal: hup"),
        (1, "INFO", "Hang up: Master"),
        (4, "INFO", "Booting worker with pid: 4"),
        (5, "INFO", "Booting worker with pid: 5"),
    ]
    exits = [(pid, "INFO", f"Worker exiting (pid: {pid})") for pid in (2, 3)]
    assert sorted(lines[4:6]) == exits
    assert lines[6] == (1, "INFO", "Handling signal: term")
    assert lines[-1] == (1, "INFO", "Shutting down: Master")
    assert {"Worker exiting (pid: 4)", "Worker exiting (pid: 5)"} <= {text for _, _, text in lines}


def test_a_hung_worker_that_its_master_kills_as_it_stops() -> None:
    server = replace(TWO, graceful_timeout=1)
    lines = log_of(Hang(0.2, 1, 1, 60.0), Signal(1.0, "TERM", "master"), server=server)
    killed = [line for line in lines if "SIGKILL" in line[2]]
    # It reaps once more before it leaves, and the killed worker may not have ended by then.
    assert killed in ([], [(1, "ERROR", "Worker (pid:2) was sent SIGKILL! Perhaps out of memory?")])
    assert (3, "INFO", "Worker exiting (pid: 3)") in lines


@pytest.mark.parametrize(
    ("release", "answer"),
    [
        ("21.2.0", []),
        ("22.0.0", [(2, "ERROR", "Error handling request /")]),
        (NEWEST, [(2, "ERROR", "Error handling request GET /")]),
    ],
)
def test_a_sync_worker_past_its_timeout(release: str, answer: list[tuple[int, str, str]]) -> None:
    server = Server(workers=2, timeout=1, preload_app=True, gunicorn=release)
    lines = log_of(Hang(0.2, 1, 1, 60.0), server=server)
    assert lines[: 1 + len(answer)] == [(1, "CRITICAL", "WORKER TIMEOUT (pid:2)"), *answer]
    assert (2, "INFO", "Worker exiting (pid: 2)") in lines
    # The request's error handling takes the exception, and the worker ends with 0.
    ends = [text for _, _, text in lines if "exited with code 1" in text]
    assert bool(ends) == (not answer)


@pytest.mark.parametrize(
    ("exit_code", "reason"), [(3, "Worker failed to boot."), (4, "App failed to load.")]
)
def test_a_release_that_cannot_boot(exit_code: int, reason: str) -> None:
    # Of two such workers, the second may end the master while it halts for the first.
    server = replace(TWO, workers=1)
    lines = log_of(BootError(0.5, exit_code), Signal(1.0, "HUP", "master"), server=server)
    assert lines[-2:] == [(1, "ERROR", "Shutting down: Master"), (1, "ERROR", f"Reason: {reason}")]
    assert ((3, "ERROR", "Exception in worker process") in lines) == (exit_code == 3)
    assert (1, "ERROR", f"Worker (pid:3) exited with code {exit_code}.") in lines


def test_the_exit_of_a_worker_that_nobody_forked_is_no_line() -> None:
    run = predict(Experiment(traffic=Traffic(requests=2), replications=1))
    stranger = ProcessEvent(run.events[-1].time, "exit", "worker 9")
    assert gunicorn_log(replace(run, events=(*run.events, stranger))) == gunicorn_log(run)


def test_without_launchdarkly_the_hook_says_so() -> None:
    lines = log_of(FlagService(0.5, reachable=False), Signal(1.0, "KILL", worker=1), flags=True)
    assert lines[-1][:2] == (4, "WARNING")
    assert lines[-1][2].startswith("LaunchDarkly postfork() got no flags in worker 4: ")


def test_a_second_master_is_the_first_when_it_is_alone() -> None:
    lines = log_of(Signal(0.5, "USR2", "master"), Signal(1.5, "TERM", "master"))
    texts = [text for _, _, text in lines]
    assert texts[0] == "Handling signal: usr2"
    assert texts.index("Shutting down: Master") < texts.index("Master has been promoted.")
    assert (4, "INFO", "Listening at: http://127.0.0.1:8000 (4)") in lines


@pytest.mark.parametrize(("ended", "name"), [(1.5, "Master"), (None, "Master.2")])
def test_a_second_master_has_the_name_of_the_first_once_that_is_gone(
    ended: float | None, name: str
) -> None:
    """It halts, for its next worker cannot boot."""
    signals = [Signal(ended, "TERM", "master")] if ended is not None else []
    broken = (BootError(2.0), Signal(2.5, "KILL", "worker", worker=3))
    lines = log_of(Signal(0.5, "USR2", "master"), *signals, *broken)
    (text,) = [text for pid, _, text in lines if pid == 4 and text.startswith("Shutting down")]
    assert text == f"Shutting down: {name}"


def test_with_a_socket_for_each_worker_the_master_listens_nowhere() -> None:
    experiment = Experiment(replace(TWO, reuse_port=True), traffic=Traffic(duration=0.2))
    first = [line.text for line in gunicorn_log(predict(experiment))[:3]]
    assert first == [f"Starting gunicorn {NEWEST}", "Listening at:  (1)", "Using worker: gthread"]


@settings(max_examples=40)
@given(troubled)
def test_whatever_goes_wrong_the_log_can_be_written(experiment: Experiment) -> None:
    lines = gunicorn_log(predict(experiment))
    assert all(isinstance(line, LogLine) and "{" not in line.text for line in lines)
    assert [line.time for line in lines] == sorted(line.time for line in lines)


def test_every_line_of_the_table_is_of_a_known_release_and_in_order() -> None:
    for name, words in LINES.items():
        places = [KNOWN.index(each.since) for each in words]
        assert places == sorted(set(places)), name
        assert words[0].since == KNOWN[0], name


def test_the_newest_lines_stand_in_the_source_that_is_installed_here() -> None:
    assert version("gunicorn") == NEWEST
    package = {str(path): Path(str(path.locate())) for path in files("gunicorn") or ()}
    for name, words in LINES.items():
        newest = words[-1]
        if newest.level is not None and newest.file:
            text = package[f"gunicorn/{newest.file}"].read_text(encoding="utf-8")
            assert newest.source in text, name
