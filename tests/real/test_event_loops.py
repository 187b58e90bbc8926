"""Real workers with an event loop, and the model's of the same requests."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection, HTTPException, RemoteDisconnected

import pytest
from plain_gunicorn import PATIENCE
from waiting import wait_for

from reference_app.rig import server as rig
from reference_app.rig.address import HOST
from reference_app.rig.measure import measure
from reference_app.rig.server import running_server
from sim.errors import ExperimentError
from sim.experiment import (
    Experiment,
    LaunchDarkly,
    Server,
    TraceRow,
    Traffic,
    WorkerClass,
)
from sim.model.simulation import predict

GEVENT = Server(worker_class="gevent", preload_app=True)


def get(port: int, path: str) -> int:
    """The status of the response; 0 where the server closes without one."""
    connection = HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().status
    except (RemoteDisconnected, ConnectionResetError, HTTPException):
        return 0
    finally:
        connection.close()


def asked(server: Server) -> Experiment:
    return Experiment(server, launchdarkly=LaunchDarkly(enabled=False))


def test_a_request_that_computes_past_the_timeout_is_lost_alone() -> None:
    with running_server(asked(replace(GEVENT, timeout=1))) as server, ThreadPoolExecutor(3) as pool:
        waits = pool.submit(get, server.port, "/work?io=3")
        time.sleep(0.1)
        began = time.monotonic()
        computes = pool.submit(get, server.port, "/work?cpu=5")
        assert computes.result() == 0
        assert time.monotonic() - began < 4.0
        # SIGABRT is an exception in the request that computes. The worker finishes the other one.
        assert waits.result() == 200
        # Another worker takes its place.
        assert get(server.port, "/work") == 200
        text = server.text()
        assert text.index("WORKER TIMEOUT (pid:") < text.index("Worker exiting (pid: ")
        assert "Traceback" not in text
        # The master has imported the application, and with it ssl, before the worker patches it.
        assert "MonkeyPatchWarning" in text


def test_it_stops_when_it_next_looks_and_serves_until_then() -> None:
    with running_server(asked(GEVENT)) as server, ThreadPoolExecutor(2) as pool:
        (worker,) = server.living_workers().values()
        held = pool.submit(get, server.port, "/work?io=1")
        time.sleep(0.3)
        os.kill(worker.pid, signal.SIGTERM)
        # The next requests are its own, until it has looked for `alive`; then the next worker's.
        statuses = [get(server.port, "/work") for _ in range(3)]
        assert statuses == [200, 200, 200]
        assert held.result() == 200
        wait_for(lambda: len(server.workers()) == 2)


def test_uvicorn_answers_503_beyond_its_limit() -> None:
    """A limit of 3 counts each request's own connection, so that two run beside each other."""
    held, others = (0.0, 0.1), (0.6, 1.0, 2.2)
    trace = (*(TraceRow(at, 1.5, 0.0) for at in held), *(TraceRow(at, 0.0, 0.0) for at in others))
    server = Server(worker_class="uvicorn", limit_concurrency=3, preload_app=True)
    limited = Experiment(server, traffic=Traffic(arrivals="trace", trace=trace))
    runs = measure(limited, 0, lambda *_: None), predict(limited)
    for run in runs:
        found = [row.outcome for row in run.requests]
        assert found == ["ok", "ok", "error_5xx", "error_5xx", "ok"]


class Kept:
    """A connection that the server keeps."""

    def __init__(self, port: int) -> None:
        self.connection = HTTPConnection(HOST, port, timeout=PATIENCE)
        self.get("/work")

    def get(self, path: str) -> dict[str, float]:
        """When the application ran for a request, and when its response was there, s."""
        self.connection.request("GET", path)
        body = json.loads(self.connection.getresponse().read())
        return {**body, "answered": time.monotonic()}


@pytest.mark.parametrize("worker_class", ["gevent", "asgi", "uvicorn"])
def test_what_has_slept_goes_on_before_or_after_what_has_come(
    worker_class: WorkerClass,
) -> None:
    """One computes for 0.8 s, one has slept since, and one and another have come since."""
    server = Server(worker_class=worker_class, preload_app=True, keepalive=30)
    with running_server(asked(server)) as running, ThreadPoolExecutor(4) as pool:
        kept = [Kept(running.port) for _ in range(4)]
        runs = []
        for each, path in zip(
            kept, ("/work?io=0.6&cpu=0.8", "/work?cpu=0.8", "/work", "/work"), strict=True
        ):
            runs.append(pool.submit(each.get, path))
            time.sleep(0.2)
        slept, computes, first, second = (run.result() for run in runs)
    assert computes["ended"] < slept["ended"]
    begun_before = first["started"] < slept["ended"] - 0.4
    assert begun_before is (worker_class == "uvicorn")
    # libev runs last what became ready first.
    assert (first["started"] < second["started"]) is (worker_class != "gevent")


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig, "find_spec", lambda name: None if name == "gevent" else object())
    with (
        pytest.raises(ExperimentError, match=r"gevent cannot be imported; expected the extra"),
        running_server(asked(GEVENT)),
    ):
        pass
