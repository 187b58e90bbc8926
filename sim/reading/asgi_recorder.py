"""Recording of what requests demand in an ASGI application: a hook, or a middleware.

::

    from sim.reading.asgi_recorder import record_asgi; post_worker_init = record_asgi("demand.csv")

in a ``gunicorn.conf.py`` wraps the application of an ``asgi`` worker and of uvicorn's. Uvicorn's
worker calls neither ``pre_request`` nor ``post_request`` (uvicorn_worker/_workers.py), but every
worker class calls ``post_worker_init`` between loading the application and serving it
(``gunicorn.workers.base.Worker.init_process``). Without Gunicorn there is `RecordingMiddleware`.

CPU is that of the task that runs the application, step by step, and of the tasks that it creates
until the response is over (`sim.reading.task_clocks`). What threads compute is I/O of the request.
How long a request waited before the event loop began it is not known. As `sim.reading.recorder`,
this runs in somebody's production.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from time import monotonic_ns, thread_time_ns
from types import CoroutineType
from typing import Any, Final

from sim.reading.recording_buffer import RecordingBuffer, later_in_asyncio
from sim.reading.recording_file import MOST_BYTES, RecordingFile
from sim.reading.task_clocks import CURRENT, FirstSteps, steps

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
Hook = Callable[[Any], None]

#: Attributes in which workers keep the application that they serve: Gunicorn's asgi worker
#: (gunicorn/workers/gasgi.py), and the base class with uvicorn's.
_PLACES = ("asgi", "wsgi")

#: Instead of what a coroutine waits for: it is over.
_OVER: Final = object()


def record_asgi(
    path: str, *, most_bytes: int = MOST_BYTES, post_worker_init: Hook | None = None
) -> Hook:
    """Make a ``post_worker_init`` that records each HTTP request into a file.

    Args:
        path: of the file, which is opened at the first request of each process.
        most_bytes: at which no more is written.
        post_worker_init: a hook of the service's own, which is called as well.
    """

    def wrap(worker: Any) -> None:  # noqa: ANN401 - any worker class
        # A worker is worth more than its recording.
        with suppress(Exception):
            _wrap(worker, path, most_bytes)
        if post_worker_init is not None:
            post_worker_init(worker)

    return wrap


def _wrap(worker: Any, path: str, most_bytes: int) -> None:  # noqa: ANN401 - any worker class
    place = next((each for each in _PLACES if getattr(worker, each, None) is not None), None)
    application: Any = None if place is None else getattr(worker, place)
    # Others run what they find: a WSGI application, or one of ASGI 2, would not be called rightly.
    if place is None or (place != "asgi" and not _is_asgi_3(application)):
        worker.log.warning(
            "sim.reading.asgi_recorder records no request: expected a worker that runs an ASGI 3 "
            "application"
        )
        return
    recorded = RecordingMiddleware(application, path, most_bytes=most_bytes)
    # Gunicorn's own worker exits; uvicorn's ends by a signal.
    recorded.write_together(signals=place != "asgi")
    setattr(worker, place, recorded)


def _is_asgi_3(application: object) -> bool:
    """Whether calling it makes a coroutine, as uvicorn asks too (uvicorn/config.py)."""
    if inspect.isclass(application):
        return hasattr(application, "__await__")
    call = getattr(application, "__call__", None)  # noqa: B004 - the function itself is looked at
    return inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(call)


class RecordingMiddleware:
    """An ASGI application that runs another one, and records its HTTP requests.

    Args:
        application: of ASGI 3.
        path: of the file, as of `record_asgi`.
        most_bytes: at which no more is written.
    """

    def __init__(
        self, application: Application, path: str, *, most_bytes: int = MOST_BYTES
    ) -> None:
        self._application = application
        # A worker has one event loop.
        self._first_steps = FirstSteps()
        self._file = RecordingFile(path, most_bytes)
        self._add = self._file.add

    def write_together(self, *, signals: bool) -> None:
        """Write lines with others, up to half a second later.

        Args:
            signals: whether signals end the process, and not only `sys.exit`.

        Raises:
            ValueError: with ``signals``, in another thread than the main one.
        """
        lines = RecordingBuffer(self._file, later_in_asyncio)
        if signals:
            lines.flush_before_signals()
        self._add = lines.add

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Run the application; an HTTP request becomes a line when it returns."""
        if scope.get("type") != "http":
            await self._application(scope, receive, send)
            return
        first = self._first_steps
        if not first.followed:
            first.follow_tasks()
        first.runs = True
        began, since = monotonic_ns(), thread_time_ns()
        try:
            called = self._application(scope, receive, send)
            if type(called) is not CoroutineType:
                called = _awaiting(called)
            # Not awaited: most requests are over in this step, and cost half as much so.
            awaited = next(called.__await__(), _OVER)
        except BaseException:
            self._add(began, thread_time_ns() - since, None, scope.get("path"))
            first.end()
            raise
        cpu = thread_time_ns() - since
        if awaited is _OVER:
            self._add(began, cpu, None, scope.get("path"))
            first.end()
            return
        clock = first.go_on(cpu)
        try:
            await steps(called, clock, awaited)
        finally:
            # Not reset: closed by another task, that would be of another context and raise.
            CURRENT.set(None)
            self._add(began, clock.cpu, None, scope.get("path"))


async def _awaiting(called: Awaitable[None]) -> None:
    await called
