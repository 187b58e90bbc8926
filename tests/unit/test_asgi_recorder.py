"""The ASGI recorder: what runs below it is as without it, and each step's CPU is the request's.

Goal: an application does not notice the middleware, whatever it does. Method: applications that
return, raise, are cancelled and catch it, on asyncio's loop, with the middleware and without.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sim.reading import trace_file
from sim.reading.asgi_recorder import RecordingMiddleware, record_asgi

SCOPE = {"type": "http", "path": "/work"}

#: CPU of a step, s, by path.
DEMANDS = {"/waits": 0.0, "/computes": 0.02}


async def receive() -> dict[str, Any]:
    return {}


async def send(message: Any) -> None:  # noqa: ANN401 - as ASGI has it
    del message


def compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_cpu_is_that_of_the_steps(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"

    async def application(scope: Any, *_: object) -> None:  # noqa: ANN401
        seconds = scope["seconds"]
        compute(seconds)
        await asyncio.sleep(0.05)
        compute(seconds)

    async def both() -> None:
        recorded = RecordingMiddleware(application, str(file))
        scopes = [{**SCOPE, "path": path, "seconds": s} for path, s in DEMANDS.items()]
        await asyncio.gather(*(recorded(scope, receive, send) for scope in scopes))

    asyncio.run(both())
    cpu = {row.route: row.cpu_s for row in trace_file.read(file)}
    assert cpu["/waits"] < 0.01
    assert cpu["/computes"] == pytest.approx(0.04, abs=0.01)


def test_tasks_of_a_request_are_its_own(tmp_path: Path) -> None:
    """As of Starlette's middlewares, which run what is below them in a task of its own."""
    file = tmp_path / "demand.csv"
    names: list[str] = []

    async def child(seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        names.append(task.get_coro().__qualname__)  # type: ignore[union-attr]
        await asyncio.sleep(0.01)
        compute(seconds)

    async def application(scope: Any, *_: object) -> None:  # noqa: ANN401
        async with asyncio.TaskGroup() as group:
            group.create_task(child(scope["seconds"]))
            group.create_task(child(scope["seconds"]))

    async def both() -> None:
        recorded = RecordingMiddleware(application, str(file))
        scopes = [{**SCOPE, "path": path, "seconds": s} for path, s in DEMANDS.items()]
        await asyncio.gather(*(recorded(scope, receive, send) for scope in scopes))
        # What is no request is made as without it.
        assert (await asyncio.create_task(asyncio.sleep(0, "done"))) == "done"

    asyncio.run(both())
    cpu = {row.route: row.cpu_s for row in trace_file.read(file)}
    assert cpu["/waits"] < 0.01
    assert cpu["/computes"] == pytest.approx(0.04, abs=0.01)
    assert all(name.endswith("child") for name in names)


async def returns(*_: object) -> None:
    await asyncio.sleep(0)


async def raises(*_: object) -> None:
    await asyncio.sleep(0)
    raise KeyError("own")


async def ends_with_stop(*_: object) -> None:
    raise StopAsyncIteration


async def outlives_a_cancel(*_: object) -> None:
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        await asyncio.sleep(0.001)
    raise KeyError("cancelled before")


async def times_out(*_: object) -> None:
    async with asyncio.timeout(0.001):
        await asyncio.sleep(30)


async def waits(*_: object) -> None:
    await asyncio.sleep(30)


@pytest.mark.parametrize(
    "application", [returns, raises, ends_with_stop, outlives_a_cancel, times_out, waits]
)
@pytest.mark.parametrize("kind", ["http", "lifespan", "websocket"])
def test_an_application_does_not_notice(
    tmp_path: Path, application: Callable[..., Awaitable[None]], kind: str
) -> None:
    file = tmp_path / "demand.csv"

    async def outcome(of: Callable[..., Awaitable[None]]) -> str:
        async def run() -> None:
            await of({**SCOPE, "type": kind}, receive, send)

        task = asyncio.create_task(run())
        await asyncio.sleep(0.005)
        if not task.done():
            task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        return repr(result)

    plain = asyncio.run(outcome(application))
    assert asyncio.run(outcome(RecordingMiddleware(application, str(file)))) == plain
    assert file.exists() == (kind == "http")
    if kind == "http":
        assert len(trace_file.read(file)) == 1


def test_a_worker_without_such_an_application_is_left_as_it_is(tmp_path: Path) -> None:
    said: list[str] = []
    log = SimpleNamespace(warning=said.append)

    def wsgi(*_: object) -> list[bytes]:
        raise AssertionError

    called: list[object] = []
    worker = SimpleNamespace(wsgi=wsgi, log=log)
    hook = record_asgi(str(tmp_path / "demand.csv"), post_worker_init=called.append)
    hook(worker)
    assert worker.wsgi is wsgi
    assert called == [worker]
    assert len(said) == 1
    assert "expected a worker that runs an ASGI 3 application" in said[0]
    # Uvicorn's keeps it where WSGI workers do, Gunicorn's own elsewhere.
    for place in ("wsgi", "asgi"):
        worker = SimpleNamespace(**{place: returns}, log=log)
        hook(worker)
        assert isinstance(getattr(worker, place), RecordingMiddleware)
    assert len(said) == 1
