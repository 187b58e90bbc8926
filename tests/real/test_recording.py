"""A recording keeps every request, on real Gunicorn, whatever happens to its workers.

Goal: a recording is a trace that can be believed, and costs no request. Method: two workers of each
class are killed and reloaded meanwhile; then a file that is full and one that cannot be opened.
That the times are right is held in `test_recorded_times.py`.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest
from plain_gunicorn import PATIENCE
from recorded_service import ask, cells, recorded, recording, wait_until_recorded
from waiting import wait_for

from sim.reading.recording import COLUMNS, HEADER

#: Flags of two workers of a class, and whether they run the ASGI application.
CLASSES = {
    "sync": (("--workers", "2"), False),
    "gthread": (("--workers", "2", "--threads", "2"), False),
    "gevent": (("--workers", "2", "--worker-class", "gevent"), False),
    "asgi": (("--workers", "2", "--worker-class", "asgi"), True),
    "uvicorn": (("--workers", "2", "--worker-class", "uvicorn_worker.UvicornWorker"), True),
}


@pytest.mark.parametrize("name", CLASSES)
def test_no_line_is_lost_when_workers_are(tmp_path: Path, name: str) -> None:
    server_flags, asgi = CLASSES[name]
    file = tmp_path / "demand.csv"
    with recording(tmp_path, str(file), server=server_flags, asgi=asgi) as server:
        ask(server, *["/before"] * 8)
        wait_until_recorded(file, 8)
        server.workers()[0].send_signal(signal.SIGKILL)
        server.wait_for_log("Booting worker", 3)
        wait_for(lambda: len(server.workers()) == 2, "two workers")
        ask(server, *["/killed"] * 8)
        wait_until_recorded(file, 16)
        server.master.send_signal(signal.SIGHUP)
        server.wait_for_log("Booting worker", 5)
        ask(server, *["/reloaded"] * 8)
        wait_until_recorded(file, 24)
        ask(server, *["/last"] * 8)
        # At once: what workers have not written yet, they write as they end.
        server.master.send_signal(signal.SIGTERM)
        server.wait_for_log("Shutting down: Master")
        server.master.wait(PATIENCE)
    counted = Counter(row.route for row in recorded(file))
    assert counted == {"/before": 8, "/killed": 8, "/reloaded": 8, "/last": 8}
    assert file.read_text(encoding="ascii").count(HEADER) == 1


def test_a_full_file_ends_the_recording_and_no_request(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    file.write_text(f"{HEADER}\n{'1,0,0,,7,/' + 'x' * 90}\n", encoding="ascii")
    before = file.read_bytes()
    with recording(tmp_path, str(file), "most_bytes=100") as server:
        ask(server, *["/"] * 8)
    assert file.read_bytes() == before


def test_a_file_that_cannot_be_opened_ends_no_request(tmp_path: Path) -> None:
    with recording(tmp_path, str(tmp_path / "missing" / "demand.csv")) as server:
        ask(server, *["/"] * 8)
        assert "Traceback" not in server.log()


def test_hooks_of_the_service_are_called_too(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    own = "pre_request=lambda worker, request: print('began', request.path, flush=True)"
    with recording(tmp_path, str(file), own) as server:
        ask(server, "/own")
        server.wait_for_log("began /own")
        wait_until_recorded(file, 1)
        (line,) = cells(file)
        assert line["worker"] in {str(worker.pid) for worker in server.workers()}
    assert tuple(line) == COLUMNS.names
    (row,) = recorded(file)
    assert row.route == "/own"


def test_the_hooks_of_an_asgi_worker_say_what_to_set_instead(tmp_path: Path) -> None:
    """It calls them, in the task of the request, of which they cannot see the CPU."""
    file = tmp_path / "demand.csv"
    # `recording` writes the WSGI application, which this worker cannot run.
    with recording(tmp_path, str(file), server=("--worker-class", "asgi")) as server:
        server.wait_for_log("expected post_worker_init = sim.reading.asgi_recorder.record_asgi")
    assert not file.exists()
