"""CPU of asyncio's tasks: what a coroutine computes in the steps in which the loop runs it.

A request is a clock. The coroutine that serves it runs below `Steps`, which adds each step to the
clock; so does the coroutine of each task that is created meanwhile in the request's context, as
Starlette's middlewares do, since the loop's task factory wraps it. Threads are not seen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import Any


class Clock:
    """The CPU of one request.

    Attributes:
        cpu: of its steps so far, s.
        runs: whether one of them runs: a task may start in the middle of another's step.
    """

    __slots__ = ("cpu", "runs")

    def __init__(self) -> None:
        self.cpu = 0.0
        self.runs = False


#: The clock of the request in whose context a task is.
CURRENT: ContextVar[Clock | None] = ContextVar("sim.reading.task_clocks", default=None)


class Steps:
    """Runs a coroutine, and adds what its steps compute to a clock.

    Args:
        coroutine: to run; it notices nothing.
        clock: of the request.
    """

    __slots__ = ("_clock", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], clock: Clock) -> None:
        self._coroutine = coroutine
        self._clock = clock

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, clock, now = self._coroutine, self._clock, time.thread_time
        value: Any = None
        thrown: BaseException | None = None
        while True:
            counts, clock.runs = not clock.runs, True
            began = now()
            try:
                awaited = coroutine.send(value) if thrown is None else coroutine.throw(thrown)
            except StopIteration as stop:
                return stop.value
            finally:
                if counts:
                    clock.cpu += now() - began
                    clock.runs = False
                # Kept here, an error that goes on would hold this frame, and this frame the error.
                thrown = None
            try:
                # What the event loop gets is what the coroutine waits for, and nothing of ours.
                value = yield awaited
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:
                value, thrown = None, error


def follow_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Let tasks that are created in the context of a request add to its clock.

    A task factory that is there already makes the tasks, as before.
    """
    before: Any = loop.get_task_factory()

    def factory(of: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> Any:  # noqa: ANN401
        clock = CURRENT.get()
        if clock is not None and isinstance(coroutine, Coroutine):
            coroutine = _followed(coroutine, clock)
        if before is not None:
            return before(of, coroutine, **more)
        return asyncio.Task(coroutine, loop=of, **more)

    loop.set_task_factory(factory)


def _followed(coroutine: Any, clock: Clock) -> Coroutine[Any, Any, Any]:  # noqa: ANN401
    async def run() -> Any:  # noqa: ANN401 - what the coroutine returns
        return await Steps(coroutine, clock)

    followed = run()
    # What shows tasks by name shows the coroutine's.
    for name in ("__name__", "__qualname__"):
        setattr(followed, name, getattr(coroutine, name, name))
    return followed
