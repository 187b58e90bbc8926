"""A bound on the time that a test of the model may take."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

#: s after which a model that does not end is stopped.
GUARD = 60.0


@contextmanager
def bounded_time() -> Iterator[None]:
    """Fail a block that has not ended within `GUARD`: a model that does not end."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        pytest.fail(f"the model has not ended within {GUARD:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, GUARD)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
