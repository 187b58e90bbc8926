"""The ASGI twin of the service on the worker classes that run it: it answers what Flask answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from plain_gunicorn import get
from waiting import wait_for

from reference_app.paths import PLAIN_WORK, WORK
from reference_app.rig import server as rig
from reference_app.rig.measure import measure
from reference_app.rig.server import Application, RunningServer, running_server
from sim.errors import ExperimentError
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic, WorkerClass
from sim.experiment.distribution import Distribution

ON_ASYNCIO: tuple[WorkerClass, ...] = ("asgi", "uvicorn")


@pytest.fixture(scope="module", params=["gevent", *ON_ASYNCIO])
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """One worker of each class with an event loop, whichever framework it runs."""
    flags = LaunchDarkly(enabled=True, latency=0.0)
    one = Server(worker_class=request.param, preload_app=True)
    with running_server(Experiment(one, launchdarkly=flags)) as running:
        yield running


def answer(server: RunningServer, path: str) -> dict[str, Any]:
    status, body = get(server.port, path)
    assert status == 200, body
    found = json.loads(body)
    assert isinstance(found, dict)
    return found


def test_it_evaluates_real_flags(server: RunningServer) -> None:
    assert answer(server, "/health")["launchdarkly"] == {
        "offline": False,
        "initialized": True,
        "state": "valid",
    }
    flags = answer(server, "/flags?user=alice")["flags"]
    assert flags["new-checkout"]["value"] is True
    assert flags["new-checkout"]["reason"]["kind"] == "TARGET_MATCH"
    assert get(server.port, "/flags?user=")[0] == 400
    assert answer(server, "/")["pid"] in server.workers().values()


@pytest.mark.parametrize("path", [WORK, PLAIN_WORK])
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("io=soon", "io is 'soon'; expected seconds from 0 to 100000\n"),
        ("cpu=-1", "cpu is '-1'; expected seconds from 0 to 100000\n"),
        ("io=1&blocking=2", "blocking is '2'; expected a part of io, from 0 to 1\n"),
    ],
)
def test_it_refuses_what_cannot_be_used(
    server: RunningServer, path: str, query: str, said: str
) -> None:
    assert get(server.port, f"{path}?{query}") == (400, said)


def beside(server: RunningServer, path: str) -> float:
    """How long a request takes that comes while another waits for half a second, s."""
    other = threading.Thread(target=get, args=(server.port, path))
    other.start()
    time.sleep(0.15)
    asked = time.monotonic()
    answer(server, WORK)
    took = time.monotonic() - asked
    other.join()
    return took


def test_only_what_blocks_or_computes_in_the_loop_holds_up_others(server: RunningServer) -> None:
    assert beside(server, f"{WORK}?io=0.5") < 0.2
    assert beside(server, f"{WORK}?io=0.5&blocking=1") > 0.25
    assert beside(server, f"{WORK}?cpu=0.5") > 0.25


def test_a_plain_function_runs_in_the_loop_of_gevent_and_in_a_thread_of_the_others(
    server: RunningServer,
) -> None:
    command = " ".join(server.container.process.args)  # type: ignore[arg-type]
    loop = answer(server, WORK)["thread"]
    threads = {answer(server, PLAIN_WORK)["thread"] for _ in range(3)}
    if "gevent" in command:
        assert threads == {loop}
        assert beside(server, f"{PLAIN_WORK}?io=0.5&blocking=1") > 0.25
    else:
        assert loop not in threads
        assert beside(server, f"{PLAIN_WORK}?io=0.5&blocking=1") < 0.2


#: An application that says whether anyio has imported its backend.
TELLING = """
import sys
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def loaded(request):
    return PlainTextResponse(str("anyio._backends._asyncio" in sys.modules))

def function(request):
    return PlainTextResponse("done")

app = Starlette(routes=[Route("/loaded", loaded), Route("/function", function)])
"""


@pytest.mark.parametrize("worker_class", ON_ASYNCIO)
@pytest.mark.parametrize("first", ["", "import anyio._backends._asyncio"])
def test_the_first_plain_function_of_a_worker_imports_a_backend(
    worker_class: WorkerClass, first: str, tmp_path: Path
) -> None:
    """The application was preloaded, and has not: unless it imports that itself."""
    (tmp_path / "telling.py").write_text(first + TELLING)
    one = Experiment(Server(worker_class=worker_class, preload_app=True))
    with running_server(one, Application("telling:app", directory=tmp_path)) as running:
        asked = ("/loaded", "/function", "/loaded")
        said = [get(running.port, path)[1] for path in asked]
    assert said == [str(bool(first)), "done", "True"]


def slept(server: RunningServer, path: str) -> list[float]:
    """Ten sleeps of 4.1 ms, s."""
    found = [answer(server, f"{path}?io=0.0041") for _ in range(10)]
    return [each["ended"] - each["started"] for each in found]


def test_an_event_loop_sleeps_for_whole_milliseconds(server: RunningServer) -> None:
    # What else wakes the loop after 4.1 ms ends a sleep too.
    assert median(slept(server, WORK)) > 0.00499
    if "gevent" not in " ".join(server.container.process.args):  # type: ignore[arg-type]
        assert 0.0041 < min(slept(server, PLAIN_WORK)) < 0.0048


@pytest.mark.parametrize("worker_class", ON_ASYNCIO)
def test_the_rig_measures_it(worker_class: WorkerClass) -> None:
    # A connection each: of a few that are kept, one worker may have got all.
    traffic = Traffic(rate=60.0, requests=60, io=Distribution("const", (0.01,)))
    two = Server(workers=2, worker_class=worker_class, preload_app=True)
    run = measure(Experiment(two, traffic=traffic), 0, lambda *_: None)
    assert all(request.outcome == "ok" for request in run.requests)
    assert {request.worker for request in run.requests} == {1, 2}
    assert all(request.latency >= 0.01 for request in run.requests)


@pytest.mark.parametrize("worker_class", ON_ASYNCIO)
def test_a_missing_package_is_named_with_its_extra(
    worker_class: WorkerClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rig, "find_spec", lambda name: None if name == "starlette" else object())
    with (
        pytest.raises(
            ExperimentError, match=r"starlette cannot be imported; expected the extra 'a"
        ),
        running_server(Experiment(Server(worker_class=worker_class))),
    ):
        pass


def test_a_worker_writes_its_boot_into_the_log(server: RunningServer) -> None:
    wait_for(lambda: any(event.kind == "ready" for event in server.events()))
    assert any(event.kind == "postfork" for event in server.events())
