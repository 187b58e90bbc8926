"""CPU of asyncio's tasks: what a coroutine computes in the steps in which the loop runs it.

A request whose first step is its last needs no clock of its own: two looks at that of the thread
tell what it computed. Otherwise it has a `Clock`, and `steps` runs the rest of its coroutine and
adds each step to that. So does the coroutine of each task that is created meanwhile in the
request's context, as Starlette's middlewares do, since the loop's task factory wraps it. Threads
are not seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from time import thread_time_ns
from types import coroutine as awaitable
from typing import Any, Final


class Clock:
    """The CPU of one request.

    Attributes:
        cpu: of its steps so far, ns.
        runs: whether one of them runs: a task may start in the middle of another's step.
    """

    __slots__ = ("cpu", "runs")

    def __init__(self, *, runs: bool) -> None:
        self.cpu = 0
        self.runs = runs


#: The clock of the request in whose context a task is.
CURRENT: ContextVar[Clock | None] = ContextVar("sim.reading.task_clocks", default=None)

#: Instead of what a coroutine waits for: it has not begun.
NOT_BEGUN: Final = object()


class FirstSteps:
    """The first steps of the requests of one event loop, one of which runs at a time.

    Attributes:
        runs: whether one of them runs.
        followed: whether the loop's tasks have been looked at.
    """

    __slots__ = ("_clock", "followed", "runs")

    def __init__(self) -> None:
        self.runs = False
        self.followed = False
        self._clock: Clock | None = None

    def follow_tasks(self) -> None:
        """Let tasks that are created in the context of a request add to its clock.

        A task factory that is there already makes the tasks, as before. Where the event loop is not
        asyncio's, tasks are not followed.
        """
        self.followed = True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        before: Any = loop.get_task_factory()

        def factory(of: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> Any:  # noqa: ANN401
            clock = self._begun_clock() if self.runs else CURRENT.get()
            if clock is not None and isinstance(coroutine, Coroutine):
                coroutine = _followed(coroutine, clock)
            if before is not None:
                return before(of, coroutine, **more)
            return asyncio.Task(coroutine, loop=of, **more)

        loop.set_task_factory(factory)

    def _begun_clock(self) -> Clock:
        """The clock of the request whose first step runs."""
        if self._clock is None:
            self._clock = Clock(runs=True)
            CURRENT.set(self._clock)
        return self._clock

    def end(self) -> None:
        """End the first step of a request that is over."""
        self.runs = False
        if self._clock is not None:
            self._clock = None
            CURRENT.set(None)

    def go_on(self, cpu: int) -> Clock:
        """End the first step of a request that waits now; returns the clock of the others.

        Args:
            cpu: what the step computed, ns.
        """
        clock, self._clock = self._clock, None
        self.runs = False
        if clock is None:
            clock = Clock(runs=False)
            CURRENT.set(clock)
        clock.runs = False
        clock.cpu += cpu
        return clock


@awaitable
def steps(
    coroutine: Coroutine[Any, Any, Any],
    clock: Clock,
    awaited: Any = NOT_BEGUN,  # noqa: ANN401 - whatever event loops know
) -> Generator[Any, Any, Any]:
    """Run a coroutine, and add what its steps compute to a clock.

    Args:
        coroutine: to run; it notices nothing.
        clock: of the request.
        awaited: what the coroutine waits for already.
    """
    value: Any = None
    thrown: BaseException | None = None
    while True:
        if awaited is not NOT_BEGUN:
            try:
                # What the event loop gets is what the coroutine waits for, and nothing of ours.
                value = yield awaited
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:
                value, thrown = None, error
        counts, clock.runs = not clock.runs, True
        began = thread_time_ns()
        try:
            awaited = coroutine.send(value) if thrown is None else coroutine.throw(thrown)
        except StopIteration as stop:
            return stop.value
        finally:
            if counts:
                clock.cpu += thread_time_ns() - began
                clock.runs = False
            # Kept here, an error that goes on would hold this frame, and this frame the error.
            thrown = None


def _followed(coroutine: Any, clock: Clock) -> Coroutine[Any, Any, Any]:  # noqa: ANN401
    async def run() -> Any:  # noqa: ANN401 - what the coroutine returns
        return await steps(coroutine, clock)

    followed = run()
    # What shows tasks by name shows the coroutine's.
    for name in ("__name__", "__qualname__"):
        setattr(followed, name, getattr(coroutine, name, name))
    return followed
