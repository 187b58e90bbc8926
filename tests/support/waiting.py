"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], bool], what: str = "it", limit: float = 10.0) -> None:
    """Wait until the condition holds.

    Args:
        condition: asked every 10 ms.
        what: is waited for, in words.
        limit: s after which the test fails.
    """
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"{what} has not come in {limit:g} s"
        time.sleep(0.01)
