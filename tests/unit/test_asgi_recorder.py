"""The ASGI recorder: what runs below it is as without it, and each step's CPU is the request's.

Goal: an application does not notice the middleware, whatever it does. Method: applications that
return, raise, are cancelled and catch it, on asyncio's loop, with the middleware and without.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sim.reading import recording_buffer, trace_file
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

    recorded = RecordingMiddleware(application, str(file))

    async def both() -> None:
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

    recorded = RecordingMiddleware(application, str(file))

    async def both() -> None:
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
        if application in (outlives_a_cancel, waits):
            await asyncio.sleep(0.005)
            task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        return repr(result)

    plain = asyncio.run(outcome(application))
    recorded = RecordingMiddleware(application, str(file))
    assert asyncio.run(outcome(recorded)) == plain
    assert file.exists() == (kind == "http")
    if kind == "http":
        assert len(trace_file.read(file)) == 1


def test_lines_are_written_together_and_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_buffer, "DELAY", 0.05)
    file = tmp_path / "demand.csv"
    recorded = RecordingMiddleware(returns, str(file))
    recorded.write_together(signals=False)
    writes: list[int] = []
    write = os.write

    def counted(descriptor: int, lines: bytes) -> int:
        writes.append(lines.count(b"\n"))
        return write(descriptor, lines)

    monkeypatch.setattr(os, "write", counted)

    async def requests() -> None:
        for _ in range(2):
            for _ in range(10):
                await recorded(SCOPE, receive, send)
            await asyncio.sleep(0.2)

    asyncio.run(requests())
    # The header, and each time all ten.
    assert writes == [1, 10, 10]
    assert len(trace_file.read(file)) == 20


def test_lines_of_a_loop_that_has_ended_are_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next request that comes too late for them to wait longer writes them."""
    file = tmp_path / "demand.csv"
    recorded = RecordingMiddleware(returns, str(file))
    recorded.write_together(signals=False)
    monkeypatch.setattr(recording_buffer, "_DELAY_NS", 0)
    for number in range(1, 4):
        asyncio.run(recorded(SCOPE, receive, send))
        assert file.exists() == (number > 1)
        if number > 1:
            assert len(trace_file.read(file)) == 2


@pytest.mark.parametrize("forks", [False, True])
def test_a_process_writes_its_own_lines_at_its_end(tmp_path: Path, *, forks: bool) -> None:
    """Once, also where it has forked others, which end as workers do."""
    program = f"""
import asyncio, os
from sim.reading.asgi_recorder import RecordingMiddleware

async def application(*_):
    await asyncio.sleep(0)

recorded = RecordingMiddleware(application, "demand.csv")
recorded.write_together(signals=False)
asyncio.run(recorded({{"type": "http", "path": "/parent"}}, None, None))
if {forks}:
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        asyncio.run(recorded({{"type": "http", "path": "/child"}}, None, None))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", program]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    routes = sorted(row.route for row in trace_file.read(tmp_path / "demand.csv"))
    assert routes == ["/child", "/parent"][not forks :]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_ends_a_process_behind_its_lines(tmp_path: Path, number: signal.Signals) -> None:
    program = f"""
import asyncio, signal
from sim.reading.asgi_recorder import RecordingMiddleware

async def application(*_):
    await asyncio.sleep(0)

signal.signal(signal.SIGINT, signal.SIG_DFL)
recorded = RecordingMiddleware(application, "demand.csv")
recorded.write_together(signals=True)
asyncio.run(recorded({{"type": "http", "path": "/"}}, None, None))
signal.raise_signal({int(number)})
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, check=False)
    assert ended.returncode == -number
    assert len(trace_file.read(tmp_path / "demand.csv")) == 1


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
