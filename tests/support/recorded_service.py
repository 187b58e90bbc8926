"""A service on real Gunicorn whose demand is recorded, and requests to it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from plain_gunicorn import PlainGunicorn, plain_gunicorn
from waiting import wait_for

from sim.experiment import TraceRow
from sim.reading import trace_file
from sim.reading.recording import COLUMNS, HEADER

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

#: The same as an ASGI application.
ASGI_APPLICATION = """
import asyncio, time
from urllib.parse import parse_qs

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    asked = parse_qs(scope["query_string"].decode())
    await asyncio.sleep(float(asked.get("io", ["0"])[0]))
    until = time.thread_time() + float(asked.get("cpu", ["0"])[0])
    while time.thread_time() < until:
        pass
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})
"""

CONFIG = """
from sim.reading.recorder import record; pre_request, post_request = record({path!r}, {more})
"""

ASGI_CONFIG = """
from sim.reading.asgi_recorder import record_asgi; post_worker_init = record_asgi({path!r}, {more})
"""

SERVER = ("--workers", "2", "--threads", "2")

#: The path of the request that finds out whether the server is up.
READY = "/"


@contextmanager
def recording(
    folder: Path, path: str, more: str = "", server: tuple[str, ...] = SERVER, *, asgi: bool = False
) -> Iterator[PlainGunicorn]:
    """Run the service with these flags, recorded into ``path``; ``more`` is given to the hooks."""
    application, config = (ASGI_APPLICATION, ASGI_CONFIG) if asgi else (APPLICATION, CONFIG)
    (folder / "application.py").write_text(application, encoding="utf-8")
    text = config.format(path=path, more=more)
    (folder / "gunicorn.conf.py").write_text(text, encoding="utf-8")
    flags = (*server, "--config", "gunicorn.conf.py")
    with plain_gunicorn(folder, "application:app", *flags) as running:
        yield running


def recorded(file: Path) -> list[TraceRow]:
    """The rows of a recording, but for the request that finds out whether the server is up."""
    return [row for row in trace_file.read(file) if row.route != READY]


def cells(file: Path) -> list[dict[str, str]]:
    """The lines of a recording as they are written, but for that request, by column."""
    text = file.read_text(encoding="ascii") if file.exists() else ""
    # Without what is behind the last line's end: it may be half a line.
    lines = [line.split(",") for line in text.split("\n")[:-1] if line != HEADER]
    return [dict(zip(COLUMNS.names, line, strict=True)) for line in lines if line[-1] != READY]


def wait_until_recorded(file: Path, number: int) -> None:
    """Wait for so many lines: Gunicorn calls ``post_request`` when the client has its answer."""
    wait_for(lambda: len(cells(file)) >= number, f"line {number} of the recording")


def ask(server: PlainGunicorn, *paths: str, clients: int = 4) -> None:
    """Send requests, so many at a time, each of which must be answered."""
    with ThreadPoolExecutor(clients) as pool:
        assert [status for status, _ in pool.map(server.get, paths)] == [200] * len(paths)
