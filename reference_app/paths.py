"""Paths of the service that the rig asks for."""

from __future__ import annotations

#: The work, as a coroutine of an event loop where the framework has one.
WORK = "/work"

#: The same as a plain function, which Starlette runs in a thread of its pool.
PLAIN_WORK = "/work/plain"
