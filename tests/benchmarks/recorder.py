"""What recording costs: CPU that it adds, beside that of a request, for each kind of worker.

``python tests/benchmarks/recorder.py [gthread gevent asgi uvicorn]``: a worker answers requests of
a small application (Flask, or Starlette on event loops of asyncio), which gives the CPU of a
request; the same calls as such a request makes, recorded and not, give what recording adds. The
difference between two servers would drown in their noise: it is a hundredth.

One request only answers, and is over without a switch to another greenlet or task; another waits
once, for a millisecond, so it is switched away from and back to.
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

import gevent  # noqa: F401 - the recorder looks whether it is there
import greenlet

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from plain_gunicorn import plain_gunicorn

from sim.reading.asgi_recorder import RecordingMiddleware
from sim.reading.recorder import record

FLASK = """
import time
from flask import Flask, jsonify
app = Flask(__name__)

@app.get("/users/<int:number>")
def user(number):
    return jsonify(number=number)

@app.get("/waits/<int:number>")
def waits(number):
    time.sleep(0.001)
    return jsonify(number=number)
"""

STARLETTE = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def user(request):
    return JSONResponse({"number": request.path_params["number"]})

async def waits(request):
    await asyncio.sleep(0.001)
    return JSONResponse({"number": request.path_params["number"]})

app = Starlette(routes=[Route("/users/{number:int}", user), Route("/waits/{number:int}", waits)])
"""

REQUESTS = 4000
ROUNDS = 5

#: Paths of the requests, by how often they wait.
PATHS = ("/users/17", "/waits/17")

#: Application, and Gunicorn's flags.
WORKERS = {
    "gthread": (FLASK, ("--threads", "2")),
    "gevent": (FLASK, ("--worker-class", "gevent")),
    "asgi": (STARLETTE, ("--worker-class", "asgi")),
    "uvicorn": (STARLETTE, ("--worker-class", "uvicorn_worker.UvicornWorker")),
}


def of_a_request(folder: Path, application: str, flags: tuple[str, ...], path: str) -> float:
    """CPU of the worker for each request of a path, s."""
    (folder / "application.py").write_text(application, encoding="utf-8")
    with plain_gunicorn(folder, "application:app", *flags, "--keep-alive", "5") as server:
        (worker,) = server.workers()
        connection = HTTPConnection("127.0.0.1", server.port)
        for number in (200, REQUESTS):
            before = worker.cpu_times()
            for _ in range(number):
                connection.request("GET", path)
                connection.getresponse().read()
        after = worker.cpu_times()
        connection.close()
        return float(after.user + after.system - before.user - before.system) / REQUESTS


def timed(run: Callable[[], None]) -> float:
    """CPU of what runs `REQUESTS` requests, for each, s."""
    began = process_time()
    run()
    return (process_time() - began) / REQUESTS


def of_the_hooks(file: Path, _: int) -> float:
    """CPU of both hooks for each request, s; a thread that waits adds nothing."""
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


def of_greenlets(file: Path, waits: int) -> float:
    """CPU that the hooks and their clock add to a greenlet's switches, for each request, s.

    To the hub and back it goes ``waits`` times while it serves, and once for the next request.
    """
    pre_request, post_request = record(str(file))
    hub = greenlet.getcurrent()

    def serve(request: object, *, recorded: bool) -> None:
        for _ in range(REQUESTS):
            if recorded:
                pre_request(None, request)
            for _ in range(waits):
                hub.switch()
            if recorded:
                post_request(None, request, {}, None)
            hub.switch()

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


def of_the_middleware(file: Path, waits: int) -> float:
    """CPU that the middleware adds to an application that waits so often, for each request, s."""

    async def application(*_: object) -> None:
        for _number in range(waits):
            await asyncio.sleep(0)

    async def nothing(*_: object) -> Any:  # noqa: ANN401 - a message of ASGI
        return None

    def run(called: Any) -> Callable[[], None]:  # noqa: ANN401 - an ASGI application
        async def requests() -> None:
            scope = {"type": "http", "path": "/users/17"}
            for _ in range(REQUESTS):
                await called(scope, nothing, nothing)

        return lambda: asyncio.run(requests())

    recorded = RecordingMiddleware(application, str(file))
    # As `record_asgi` has it in a worker.
    recorded.write_together(signals=False)
    plain = timed(run(application))
    return timed(run(recorded)) - plain


ADDED = {
    "gthread": of_the_hooks,
    "gevent": of_greenlets,
    "asgi": of_the_middleware,
    "uvicorn": of_the_middleware,
}


def main() -> None:
    """Measure both by turns, and print the ratio."""
    for name in sys.argv[1:] or WORKERS:
        application, flags = WORKERS[name]
        for waits, path in enumerate(PATHS):
            requests, added = [], []
            for _ in range(ROUNDS):
                with tempfile.TemporaryDirectory() as folder:
                    requests.append(of_a_request(Path(folder), application, flags, path))
                    added.append(ADDED[name](Path(folder, "demand.csv"), waits))
            per = f"{1e6 * median(added):.1f} us of {1e6 * median(requests):.0f} us"
            ratio = median(added) / median(requests)
            print(  # noqa: T201
                f"{name}, {waits} waits: {per}, {ratio:.1%} (medians of {ROUNDS})", flush=True
            )


if __name__ == "__main__":
    main()
