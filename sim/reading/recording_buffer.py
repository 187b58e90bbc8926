"""Lines that an event loop writes together: a write for each would cost a quarter of recording it.

They are written `DELAY` after the first of them, so that is what a crash of the process loses, and
what shows later; when the process exits, they are written too.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic_ns, time_ns
from typing import Any, Final

from sim.reading.recording_file import RecordingFile

#: s that a line waits for others, at most.
DELAY: Final = 0.5

_DELAY_NS: Final = int(1e9 * DELAY)


#: Calls a function `DELAY` later, in the event loop that runs; raises where none runs.
Later = Callable[[Callable[[], None]], object]


def later_in_asyncio(function: Callable[[], None]) -> None:
    """`Later` of asyncio."""
    asyncio.get_running_loop().call_later(DELAY, function)


def later_in_gevent(function: Callable[[], None]) -> None:
    """`Later` of gevent, which this project does not bring."""
    gevent: Any = sys.modules["gevent"]
    # The loop may end before.
    timer = gevent.get_hub().loop.timer(DELAY, ref=False)

    def call() -> None:
        timer.close()
        function()

    timer.start(call)


class RecordingBuffer:
    """The lines of this process that are still to be written; nothing of it is ever raised.

    Args:
        file: to which they are appended.
        later: of the event loop.
    """

    def __init__(self, file: RecordingFile, later: Later) -> None:
        self._file = file
        self._later = later
        self._lines: list[bytes] = []
        self._forget()
        os.register_at_fork(after_in_child=self._forget)
        atexit.register(self.flush)

    def _forget(self) -> None:
        """Begin as a process that has no line: those that there are will be its parent's."""
        self._lines.clear()
        self._flushing = threading.Lock()
        self._set_clock()

    def _set_clock(self) -> None:
        #: When lines are to be written, by the clock that is never set; 0 where there is none.
        self._due = 0
        #: From that clock to the epoch's, ns.
        self._epoch = time_ns() - monotonic_ns()

    def add(self, began: int, cpu: int, wait: int | None, path: object) -> None:
        """Add the line of a request that ends now.

        Args:
            began: ns of the clock that is never set.
            cpu: ns that it computed since.
            wait: ms that it had waited before; None where that is not known.
            path: without its query; what is no text is written as none.
        """
        try:
            ended = monotonic_ns()
            line = self._file.line(began + self._epoch, ended - began, cpu, wait, path)
            self._lines.append(line)
            if ended >= self._due:
                self._flush_in_time(ended)
        except Exception:  # noqa: S110 - a request is worth more than its line
            pass

    def _flush_in_time(self, now: int) -> None:
        if self._due == 0:
            with suppress(Exception):
                self._later(self.flush)
                self._due = now + _DELAY_NS
                return
        # No event loop runs; or the one that was to do it is closed.
        self.flush()

    def flush(self) -> None:
        """Write all lines, unless that is being done: by a thread, or below a signal handler."""
        if not self._flushing.acquire(blocking=False):
            return
        try:
            # What another thread adds meanwhile is behind them.
            lines = self._lines[:]
            del self._lines[: len(lines)]
            self._set_clock()
            if lines:
                self._file.append(b"".join(lines), len(lines))
        finally:
            self._flushing.release()

    def flush_before_signals(self) -> None:
        """Flush before a signal ends the process that would end it at once.

        Uvicorn has handlers of its own while it serves; then it puts these back, and ends the
        process by the signal that it has got (``capture_signals`` in uvicorn/server.py).

        Raises:
            ValueError: in another thread than the main one.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._end)

    def _end(self, number: int, _: object) -> None:
        self.flush()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
