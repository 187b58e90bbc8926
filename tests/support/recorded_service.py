"""A service on real Gunicorn whose demand is recorded, and requests to it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from plain_gunicorn import PlainGunicorn, plain_gunicorn

from sim.experiment import TraceRow
from sim.reading import trace_file

#: Does what a request's query asks for: s of waiting, and s of computing.
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
