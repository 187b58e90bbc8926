"""The hooks of a recording, and its file as a trace: any path, and half a line at its end."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import ExperimentError
from sim.reading import recorder, trace_file
from sim.reading.recorder import HEADER, MOST_PATH, record


def handled(file: Path, *paths: str) -> None:
    """Requests of these paths, one after the other."""
    hooks = record(str(file))
    for path in paths:
        request = SimpleNamespace(path=path)
        hooks.pre_request(None, request)
        hooks.post_request(None, request, {}, None)


@given(st.text(max_size=2 * MOST_PATH))
def test_any_path_is_one_cell(path: str) -> None:
    written = recorder._written(path).decode("ascii")
    assert len(written) <= MOST_PATH
    assert "," not in written
    assert len(f"1,2,3,{written}".splitlines()) == 1


def test_what_is_recorded_is_read_in_order_of_arrival(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    file.write_text(
        f"{HEADER}\n1700000002.5,0.5,0.1,/b\n1700000001.0,2,0,/users/17\n1700000003,0,0,/users/4\n",
        encoding="ascii",
    )
    rows = trace_file.read(file)
    assert [(row.arrival_s, row.io_s, row.cpu_s, row.route) for row in rows] == [
        (0.0, 2.0, 0.0, "/users/:id"),
        (1.5, 0.5, 0.1, "/b"),
        (2.0, 0.0, 0.0, "/users/:id"),
    ]


def test_half_a_last_line_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    handled(file, "/one", "/two")
    with file.open("a", encoding="ascii") as more:
        more.write("1700000004.2,0.1")
    assert [row.route for row in trace_file.read(file)] == ["/one", "/two"]


def test_another_bad_line_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    file.write_text(f"{HEADER}\n1,2\n3,0,0,/\n", encoding="ascii")
    with pytest.raises(ExperimentError, match="line 2 has 2 columns; expected 4"):
        trace_file.read(file)


def test_a_recording_of_nothing_has_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    file.write_text(f"{HEADER}\n", encoding="ascii")
    with pytest.raises(ExperimentError, match="has no rows"):
        trace_file.read(file)


def test_threads_have_clocks_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    hooks = record(str(file))
    request = SimpleNamespace(path="/")
    hooks.pre_request(None, request)
    # A thread that never began a request writes none, and raises nothing.
    other = threading.Thread(target=hooks.post_request, args=(None, request, {}, None))
    other.start()
    other.join()
    hooks.post_request(None, request, {}, None)
    assert len(trace_file.read(file)) == 1


def test_threads_that_begin_together_lose_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def slowly(path: str, flags: int, mode: int) -> int:
        time.sleep(0.1)
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", slowly)
    hooks = record(str(tmp_path / "demand.csv"))

    def run() -> None:
        request = SimpleNamespace(path="/")
        hooks.pre_request(None, request)
        hooks.post_request(None, request, {}, None)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    monkeypatch.undo()
    assert len(trace_file.read(tmp_path / "demand.csv")) == 4


def test_the_file_is_looked_at_while_it_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "LINES", 10)
    file = tmp_path / "demand.csv"
    hooks = record(str(file), most_bytes=200)
    request = SimpleNamespace(path="/a")
    for _ in range(100):
        hooks.pre_request(None, request)
        hooks.post_request(None, request, {}, None)
    assert len(file.read_text(encoding="ascii").splitlines()) == 1 + 10
