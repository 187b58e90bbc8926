"""The hooks of a recording, and its file as a trace: any path, any greenlet, and half a line.

Goal: whatever happens to a file or a process, what was recorded is read, and no request notices.
Method: the hooks on requests of the test, without Gunicorn; `tests/real/test_recording.py` has it.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import greenlet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cli import main
from sim.errors import ExperimentError
from sim.reading import recording_file, trace_file
from sim.reading.recorder import record
from sim.reading.recording import EARLIER, HEADER, Columns
from sim.reading.recording_file import MOST_PATH


def handled(file: Path, *paths: str) -> None:
    """Requests of these paths, one after the other."""
    hooks = record(str(file))
    for path in paths:
        request = SimpleNamespace(path=path)
        hooks.pre_request(None, request)
        hooks.post_request(None, request, {}, None)


@given(st.text(max_size=2 * MOST_PATH))
def test_any_path_is_one_cell(path: str) -> None:
    written = recording_file.as_cell(path).decode("ascii")
    assert len(written) <= MOST_PATH
    assert "," not in written
    assert len(f"1,2,3,{written}".splitlines()) == 1


def test_what_is_recorded_is_read_in_order_of_arrival(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    file.write_text(
        f"{HEADER}\n1700000002500000000,500000000,100000000,4,7,/b\n"
        "1700000001000000000,2000000000,0,,8,/users/17\n1700000003000000000,0,0,100,7,/users/4\n",
        encoding="ascii",
    )
    rows = trace_file.read(file)
    assert [row.route for row in rows] == ["/users/:id", "/b", "/users/:id"]
    times = [(row.arrival_s, row.io_s, row.cpu_s) for row in rows]
    assert times == [pytest.approx(each) for each in ((0, 2, 0), (1.5, 0.5, 0.1), (2, 0, 0))]


def test_half_a_last_line_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    handled(file, "/one", "/two")
    with file.open("a", encoding="ascii") as more:
        more.write("1700000004.2,0.1")
    assert [row.route for row in trace_file.read(file)] == ["/one", "/two"]


def test_another_bad_line_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    file.write_text(f"{HEADER}\n1,2\n3,0,0,,7,/\n", encoding="ascii")
    with pytest.raises(ExperimentError, match="line 2 has 2 columns; expected 6"):
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
    # A request that never began has no line, and raises nothing.
    unknown = SimpleNamespace(path="/")
    other = threading.Thread(target=hooks.post_request, args=(None, unknown, {}, None))
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
    monkeypatch.setattr(recording_file, "LINES", 10)
    file = tmp_path / "demand.csv"
    hooks = record(str(file), most_bytes=200)
    request = SimpleNamespace(path="/a")
    for _ in range(100):
        hooks.pre_request(None, request)
        hooks.post_request(None, request, {}, None)
    assert len(file.read_text(encoding="ascii").splitlines()) == 1 + 10


#: A line below each header of earlier releases.
EARLIER_LINES = ("1,0.5,0.1,0.02,7,/b", "1,0.5,0.1,/b")


@pytest.mark.parametrize(("columns", "line"), [*zip(EARLIER, EARLIER_LINES, strict=True)])
def test_a_recording_of_an_earlier_release_is_gone_on_with(
    tmp_path: Path, columns: Columns, line: str
) -> None:
    file = tmp_path / "demand.csv"
    file.write_text(f"{','.join(columns.names)}\n{line}\n", encoding="ascii")
    handled(file, "/new")
    rows = trace_file.read(file)
    assert [row.route for row in rows] == ["/b", "/new"]
    assert (rows[0].io_s, rows[0].cpu_s) == (0.5, 0.1)
    assert rows[1].io_s < 0.1


@pytest.mark.parametrize("half", ["1", "1700000004.2,0.1", "1700000004.2,0.1,0,0.0"])
def test_half_a_line_of_a_crash_is_left_out_and_gone_on_behind(tmp_path: Path, half: str) -> None:
    file = tmp_path / "demand.csv"
    handled(file, "/one")
    with file.open("a", encoding="ascii") as more:
        more.write(half)
    handled(file, "/two", "/three")
    assert [row.route for row in trace_file.read(file)] == ["/one", "/two", "/three"]


@pytest.mark.parametrize("content", ["an error log\n", "arrival_s,io_s,cpu_s\n0,1,2\n", "\n"])
def test_another_file_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    file = tmp_path / "demand.csv"
    file.write_text(content, encoding="ascii")
    handled(file, "/one")
    assert file.read_text(encoding="ascii") == content


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Nobody reads it: opening it must not wait.
    handled(pipe, "/one")
    handled(tmp_path, "/one")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["pipe"]


def test_a_full_disk_ends_the_recording_and_no_request(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    hooks = record(str(file))
    request = SimpleNamespace(path="/a")
    lines = 0
    written = os.write

    def full(descriptor: int, line: bytes) -> int:
        nonlocal lines
        lines += 1
        return written(descriptor, line[:9]) if lines == 3 else written(descriptor, line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", full)
        for _ in range(5):
            hooks.pre_request(None, request)
            hooks.post_request(None, request, {}, None)
    # The header, a line, and half a line: after that there is no space.
    assert lines == 3
    assert len(trace_file.read(file)) == 1


def test_greenlets_have_clocks_of_their_own(tmp_path: Path) -> None:
    """Two requests of one thread, of which one computes while the other one waits."""
    file = tmp_path / "demand.csv"
    hooks = record(str(file))
    switches = []
    before = greenlet.settrace(lambda event, _: switches.append(event))

    def run(path: str, seconds: float) -> None:
        request = SimpleNamespace(path=path)
        hooks.pre_request(None, request)
        hub.switch()
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass
        hub.switch()
        hooks.post_request(None, request, {}, None)

    try:
        # As in gevent: requests are greenlets below a hub, which is the one that runs here.
        hub = greenlet.getcurrent()
        both = [greenlet.greenlet(run), greenlet.greenlet(run)]
        for each, arguments in zip(both, (("/waits", 0.0), ("/computes", 0.05)), strict=True):
            each.switch(*arguments)
        for _ in range(2):
            for each in both:
                each.switch()
    finally:
        greenlet.settrace(before)
    cpu = {row.route: row.cpu_s for row in trace_file.read(file)}
    assert cpu["/waits"] < 0.01
    assert cpu["/computes"] == pytest.approx(0.05, abs=0.01)
    # Whoever traced switches before still does.
    assert len(switches) >= 6


@pytest.mark.parametrize("command", [["fit"], ["--seed", "1", "--trace"]])
@pytest.mark.parametrize("piped", [False, True])
def test_what_requests_had_waited_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], *, piped: bool
) -> None:
    """The recording is read once, so it may come through a pipe."""
    file = tmp_path / "demand.csv"
    lines = [f"{n}000000000,100000000,0,{n % 100},{40 + n % 2},/\n" for n in range(1000)]
    text = f"{HEADER}\n{''.join(lines)}1000000000000,100000000,0,,40,/\n"
    if piped:
        os.mkfifo(file)
    writer = threading.Thread(target=file.write_text, args=(text,), daemon=True)
    writer.start()
    if not piped:
        writer.join()
    main([*command, str(file)])
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "1,000 requests had been there for 49.5 ms on average before 2 processes began them, 99 % "
        "of them for at most 98 ms; 1 do not say."
    ) in said


def test_waits_that_were_not_recorded_are_not_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "demand.csv"
    file.write_text(f"{','.join(EARLIER[1].names)}\n1,0.1,0,/\n", encoding="ascii")
    main(["fit", str(file)])
    assert "had been there" not in capsys.readouterr().out
