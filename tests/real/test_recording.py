"""A recording keeps every request, on real Gunicorn, whatever happens to its workers.

Goal: a recording is a trace that can be believed, and costs no request. Method: two workers with
two threads; a worker is killed and the master reloads meanwhile; then a file that is full and one
that cannot be opened. That the times are right is held in `test_recorded_times.py`.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

from recorded_service import ask, recorded, recording
from waiting import wait_for

from sim.reading.recorder import HEADER


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
