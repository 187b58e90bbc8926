"""The service: Flask on Gunicorn, with flags from LaunchDarkly.

Importing this module starts the LaunchDarkly client. With ``preload_app`` that happens in
Gunicorn's master, so that each worker must call `postfork()`; ``gunicorn.conf.py`` does.
"""

from __future__ import annotations

import math
import os
import threading
import time
from itertools import count

import ldclient
from flask import Flask, Response, request
from ldclient import Context

from reference_app.flags import client_config, start_wait

#: The flags that `/flags` shows, each with the value to use when there is no flag service.
FLAGS: dict[str, bool | str | int] = {
    "new-checkout": False,
    "banner-text": "Welcome",
    "request-limit": 100,
}

#: Most s that `/work` waits or computes: somewhat over a day.
MAX_WORK = 100_000.0

ldclient.start_wait = start_wait()  # type: ignore[assignment]  # any number of s will do
ldclient.set_config(client_config())
ldclient.get()

app = Flask(__name__)

# Numbers for the threads of this process. Under preload the master never takes one, so every
# worker counts from 1.
_numbers = count(1)
_threads: dict[int, int] = {}


def _thread_number() -> int:
    """A small number that is this thread's alone in its worker, from 1.

    The operating system's thread: gevent makes of `threading.local` one of each greenlet.
    """
    own = threading.get_native_id()
    try:
        return _threads[own]
    except KeyError:
        number = _threads[own] = next(_numbers)
        return number


class _BadRequestError(ValueError):
    """A parameter that cannot be used; its message is one line."""


@app.errorhandler(_BadRequestError)
def _bad_request(error: _BadRequestError) -> Response:
    return Response(f"{error}\n", status=400, mimetype="text/plain")


def _seconds(name: str) -> float:
    text = request.args.get(name, "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_WORK:
        raise _BadRequestError(f"{name} is {text!r}; expected seconds from 0 to {MAX_WORK:g}")
    return seconds


@app.get("/")
def index() -> dict[str, object]:
    """What there is to ask for."""
    return {
        "service": "Flask + LaunchDarkly on Gunicorn",
        "paths": ["/health", "/flags?user=alice", "/work?io=0.05&cpu=0.001"],
        "pid": os.getpid(),
    }


@app.get("/health")
def health() -> dict[str, object]:
    """Whether the worker answers, and what its LaunchDarkly client knows."""
    client = ldclient.get()
    return {
        "status": "ok",
        "pid": os.getpid(),
        "launchdarkly": {
            "offline": client.is_offline(),
            "initialized": client.is_initialized(),
            "state": client.data_source_status_provider.status.state.value,
        },
    }


@app.get("/flags")
def flags() -> dict[str, object]:
    """Value and reason of every flag, for the user ``user``."""
    context = Context.create(request.args.get("user", "example-user"))
    if not context.valid:
        raise _BadRequestError(f"user is {context.key!r}; expected a key ({context.error})")
    client = ldclient.get()
    details = {key: client.variation_detail(key, context, FLAGS[key]) for key in FLAGS}
    return {
        "pid": os.getpid(),
        "user": context.key,
        "flags": {
            key: {"value": detail.value, "reason": detail.reason} for key, detail in details.items()
        },
    }


@app.route("/work", methods=["GET", "POST"])
def work() -> Response:
    """Wait ``io`` s without the GIL, then compute for ``cpu`` s of this thread's CPU time.

    A POST reads its body before that, unless ``reads_body=0``.

    The answer says which process and thread did it, and when, in s of CLOCK_MONOTONIC. It is
    built by hand: what this function adds to the work should be small and always the same.
    """
    started = time.monotonic()
    io, cpu = _seconds("io"), _seconds("cpu")
    if request.method == "POST" and request.args.get("reads_body") != "0":
        request.get_data(cache=False)
    if io > 0:
        time.sleep(io)
    if cpu > 0:
        end = time.thread_time() + cpu
        while time.thread_time() < end:
            pass
    body = (
        f'{{"pid": {os.getpid()}, "thread": {_thread_number()}, '
        f'"started": {started:.6f}, "ended": {time.monotonic():.6f}}}\n'
    )
    return Response(body, mimetype="application/json")
