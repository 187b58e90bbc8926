"""What a study keeps in a file is there again, and only where it belongs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from study_run import Here, free

from sim.errors import ExperimentError
from sim.study.observation import Observation
from sim.study.store import Store
from sim.study.trial import Known, Trial, submitter

BASE = free(60.0, requests=50)
ELSEWHERE = "is of another host, traffic, server or model; expected one of the same"


def some() -> Known:
    submit = submitter(Here(), BASE)
    trials = [Trial((("workers", 2), ("reuse_port", True)), number) for number in range(3)]
    trials.append(Trial((("io", "exp:0.1"), ("kill", 0.5)), 0))
    return {trial: submit(trial).result() for trial in trials}


def fill(path: Path, known: Known) -> None:
    with Store(path, [BASE]) as store:
        for trial, observation in known.items():
            store.add(trial, observation)


def test_what_is_added_is_there_the_next_time(tmp_path: Path) -> None:
    path, known = tmp_path / "results", some()
    fill(path, known)
    with Store(path, [BASE]) as store:
        assert store.known == known
        more = Trial((), 9)
        store.add(more, Observation(None, None, None, None, None, None, None, 0.0, 0.0, 1.0))
    with Store(path, [BASE]) as store:
        assert store.known.keys() == {*known, more}
        assert store.known[more].mean is None


def test_a_killed_process_costs_its_last_line_only(tmp_path: Path) -> None:
    path, known = tmp_path / "results", some()
    fill(path, known)
    whole = path.read_bytes()
    header = whole.index(b"\n") + 1
    for length in (*range(0, header, 20), header, header + 10, len(whole) - 1):
        path.write_bytes(whole[:length])
        with Store(path, [BASE]) as store:
            left = dict(store.known)
            for trial in known.keys() - left.keys():
                store.add(trial, known[trial])
        assert left.items() <= known.items()
        with Store(path, [BASE]) as store:
            assert store.known == known


def test_another_base_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results"
    fill(path, some())
    before = path.read_bytes()
    for other in (replace(BASE, seed=2), free(61.0, requests=50)):
        with pytest.raises(ExperimentError, match=ELSEWHERE):
            Store(path, [other])
    with pytest.raises(ExperimentError, match=ELSEWHERE):
        Store(path, [BASE, BASE])
    assert path.read_bytes() == before
    with Store(path, [replace(BASE, replications=3)]) as store:
        assert len(store.known) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"workers = 2\n", "line 1 is not of a gunicorn-study/1 file"),
        (b"workers = 2", "line 1 is not of a gunicorn-study/1 file"),
        (b"\xff\xfe\n", "line 1 is not of a gunicorn-study/1 file"),
        (b"[]\n", "line 1 is not of a gunicorn-study/1 file"),
        (b'{"schema": "gunicorn-run/2", "of": ""}\n', "schema is 'gunicorn-run/2'"),
    ],
)
def test_another_file_is_left_alone(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "results"
    path.write_bytes(content)
    with pytest.raises(ExperimentError) as refused:
        Store(path, [BASE])
    assert message in str(refused.value)
    assert path.read_bytes() == content


def test_a_line_that_was_changed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results"
    fill(path, some())
    lines = path.read_text().splitlines(keepends=True)
    for line in ("[1]\n", '{"point": [], "replication": 0, "p42": 1}\n', '{"point": 1}\n', "\n"):
        path.write_text("".join([*lines[:2], line, *lines[3:]]))
        with pytest.raises(ExperimentError, match="line 3 is not of a gunicorn-study/1 file"):
            Store(path, [BASE])


def test_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="is not a regular file"):
        Store(tmp_path, [BASE])
    with pytest.raises(ExperimentError, match="cannot be written"):
        Store(tmp_path / "no" / "such", [BASE])
