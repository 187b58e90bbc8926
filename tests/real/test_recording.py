"""Recorded demand is what requests took, on real Gunicorn, whatever happens to its workers.

Goal: a recording is a trace that can be believed, and costs no request. Method: requests whose
times are known, on two workers with two threads; a worker is killed and the master reloads
meanwhile; then a file that is full and one that cannot be opened.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from plain_gunicorn import PlainGunicorn, plain_gunicorn
from waiting import wait_for

from sim.experiment import TraceRow
from sim.reading import trace_file
from sim.reading.recorder import HEADER
from sim.study.fit.demand import fitted

APPLICATION = """
import time
from urllib.parse import parse_qs

def app(environ, start_response):
    asked = parse_qs(environ["QUERY_STRING"])
    time.sleep(float(asked.get("io", ["0"])[0]))
    until = time.thread_time() + float(asked.get("cpu", ["0"])[0])
    while time.thread_time() < until:
        pass
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""

CONFIG = """
from sim.reading.recorder import record; pre_request, post_request = record({path!r}, {more})
"""

SERVER = ("--workers", "2", "--threads", "2", "--config", "gunicorn.conf.py")


@contextmanager
def recording(folder: Path, path: str, more: str = "") -> Iterator[PlainGunicorn]:
    (folder / "application.py").write_text(APPLICATION, encoding="utf-8")
    config = CONFIG.format(path=path, more=more)
    (folder / "gunicorn.conf.py").write_text(config, encoding="utf-8")
    with plain_gunicorn(folder, "application:app", *SERVER) as server:
        yield server


def recorded(file: Path) -> list[TraceRow]:
    """The rows of a recording, but for the request that finds out whether the server is up."""
    return [row for row in trace_file.read(file) if row.route != "/"]


def ask(server: PlainGunicorn, *paths: str) -> None:
    with ThreadPoolExecutor(4) as clients:
        assert [status for status, _ in clients.map(server.get, paths)] == [200] * len(paths)


def test_times_and_routes_are_those_of_the_requests(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    with recording(tmp_path, str(file)) as server:
        ask(server, *(f"/users/{number}?io=0.05" for number in range(20)))
        ask(server, *["/report?cpu=0.03&io=0.02"] * 10)
    rows = recorded(file)
    by_route = {demand.name: demand for demand in fitted(rows).demands}
    assert {name: demand.requests for name, demand in by_route.items()} == {
        "/users/:id": 20,
        "/report": 10,
    }
    assert by_route["/users/:id"].io.distribution.mean == pytest.approx(0.05, abs=0.015)
    assert by_route["/users/:id"].cpu.distribution.mean < 0.005
    # What waits for the GIL does not compute.
    assert by_route["/report"].cpu.distribution.mean == pytest.approx(0.03, abs=0.006)
    assert all(before.arrival_s <= after.arrival_s for before, after in pairwise(rows))


def test_no_line_is_lost_when_workers_are(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    with recording(tmp_path, str(file)) as server:
        ask(server, *["/before"] * 8)
        server.workers()[0].send_signal(signal.SIGKILL)
        wait_for(lambda: len(server.workers()) == 2, "two workers")
        ask(server, *["/killed"] * 8)
        server.master.send_signal(signal.SIGHUP)
        server.wait_for_log("Booting worker", 5)
        ask(server, *["/reloaded"] * 8)
    counted = Counter(row.route for row in recorded(file))
    assert counted == {"/before": 8, "/killed": 8, "/reloaded": 8}
    assert file.read_text(encoding="ascii").count(HEADER) == 1


def test_a_full_file_ends_the_recording_and_no_request(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    file.write_text(f"{HEADER}\n{'1.0,0.0,0.0,/' + 'x' * 90}\n", encoding="ascii")
    before = file.read_bytes()
    with recording(tmp_path, str(file), "most_bytes=100") as server:
        ask(server, *["/"] * 8)
    assert file.read_bytes() == before


def test_a_file_that_cannot_be_opened_ends_no_request(tmp_path: Path) -> None:
    with recording(tmp_path, str(tmp_path / "missing" / "demand.csv")) as server:
        ask(server, *["/"] * 8)
        assert "Traceback" not in server.log()


def test_hooks_of_the_service_are_called_too(tmp_path: Path) -> None:
    own = "pre_request=lambda worker, request: print('began', request.path, flush=True)"
    with recording(tmp_path, str(tmp_path / "demand.csv"), own) as server:
        ask(server, "/own")
        server.wait_for_log("began /own")
    (row,) = recorded(tmp_path / "demand.csv")
    assert row.route == "/own"
