"""What recording costs: CPU that it adds, beside that of a request, for each kind of worker.

``python tests/benchmarks/recorder.py``: a worker answers requests of a small application (Flask, or
Starlette on event loops of asyncio), which gives the CPU of a request; the same calls as such a
request makes, recorded and not, give what recording adds. The difference between two servers would
drown in their noise: it is a hundredth.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import process_time
from types import SimpleNamespace
from typing import Any

import greenlet

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from plain_gunicorn import plain_gunicorn

from sim.reading.asgi_recorder import RecordingMiddleware
from sim.reading.recorder import record

FLASK = """
from flask import Flask, jsonify
app = Flask(__name__)

@app.get("/users/<int:number>")
def user(number):
    return jsonify(number=number)
"""

STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def user(request):
    return JSONResponse({"number": request.path_params["number"]})

app = Starlette(routes=[Route("/users/{number:int}", user)])
"""

REQUESTS = 4000
ROUNDS = 5

#: Switches of a greenlet while it serves a request: to the hub and back, for the next bytes and for
#: something that the application waits for.
SWITCHES = 2

#: Application, and Gunicorn's flags.
WORKERS = {
    "gthread": (FLASK, ("--threads", "2")),
    "gevent": (FLASK, ("--worker-class", "gevent")),
    "asgi": (STARLETTE, ("--worker-class", "asgi")),
    "uvicorn": (STARLETTE, ("--worker-class", "uvicorn_worker.UvicornWorker")),
}


def of_a_request(folder: Path, application: str, flags: tuple[str, ...]) -> float:
    """CPU of the worker for each request, s."""
    (folder / "application.py").write_text(application, encoding="utf-8")
    with plain_gunicorn(folder, "application:app", *flags, "--keep-alive", "5") as server:
        (worker,) = server.workers()
        connection = HTTPConnection("127.0.0.1", server.port)
        for number in (200, REQUESTS):
            before = worker.cpu_times()
            for _ in range(number):
                connection.request("GET", "/users/17")
                connection.getresponse().read()
        after = worker.cpu_times()
        connection.close()
        return float(after.user + after.system - before.user - before.system) / REQUESTS


def timed(run: Callable[[], None]) -> float:
    """CPU of what runs `REQUESTS` requests, for each, s."""
    began = process_time()
    run()
    return (process_time() - began) / REQUESTS


def of_the_hooks(file: Path) -> float:
    """CPU of both hooks for each request, s."""
    pre_request, post_request = record(str(file))
    with Connected() as request:

        def run() -> None:
            for _ in range(REQUESTS):
                pre_request(None, request)
                post_request(None, request, {}, None)

        return timed(run)


class Connected:
    """A request with a connection, whose wait the kernel knows."""

    def __enter__(self) -> SimpleNamespace:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._client = socket.create_connection(listener.getsockname())
            self._connection, _ = listener.accept()
        unreader = SimpleNamespace(sock=self._connection)
        return SimpleNamespace(path="/users/17", unreader=unreader)

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._connection.close()


def of_greenlets(file: Path) -> float:
    """CPU that the hooks and their clock add to a greenlet's switches, for each request, s."""
    pre_request, post_request = record(str(file))
    hub = greenlet.getcurrent()

    def serve(request: object, *, recorded: bool) -> None:
        for _ in range(REQUESTS):
            if recorded:
                pre_request(None, request)
            for _ in range(SWITCHES):
                hub.switch()
            if recorded:
                post_request(None, request, {}, None)

    def run(request: object, *, recorded: bool) -> Callable[[], None]:
        def switch() -> None:
            other = greenlet.greenlet(serve)
            other.switch(request, recorded=recorded)
            while not other.dead:
                other.switch()

        return switch

    with Connected() as request:
        plain = timed(run(request, recorded=False))
        try:
            return timed(run(request, recorded=True)) - plain
        finally:
            greenlet.settrace(None)


def of_the_middleware(file: Path) -> float:
    """CPU that the middleware adds to an application that waits once, for each request, s."""

    async def application(*_: object) -> None:
        await asyncio.sleep(0)

    async def nothing(*_: object) -> Any:  # noqa: ANN401 - a message of ASGI
        return None

    def run(called: Any) -> Callable[[], None]:  # noqa: ANN401 - an ASGI application
        async def requests() -> None:
            scope = {"type": "http", "path": "/users/17"}
            for _ in range(REQUESTS):
                await called(scope, nothing, nothing)

        return lambda: asyncio.run(requests())

    plain = timed(run(application))
    return timed(run(RecordingMiddleware(application, str(file)))) - plain


ADDED = {
    "gthread": of_the_hooks,
    "gevent": of_greenlets,
    "asgi": of_the_middleware,
    "uvicorn": of_the_middleware,
}


def main() -> None:
    """Measure both by turns, and print the ratio."""
    for name, (application, flags) in WORKERS.items():
        requests, added = [], []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                requests.append(of_a_request(Path(folder), application, flags))
                added.append(ADDED[name](Path(folder, "demand.csv")))
        per = f"{1e6 * median(added):.1f} us of {1e6 * median(requests):.0f} us"
        print(  # noqa: T201
            f"{name}: {per}, {median(added) / median(requests):.1%} (medians of {ROUNDS})",
            flush=True,
        )


if __name__ == "__main__":
    main()
