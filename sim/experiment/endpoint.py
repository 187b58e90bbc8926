"""How an ASGI application's endpoints are declared."""

from __future__ import annotations

from typing import Final, Literal

Endpoint = Literal["async", "def"]

#: ``async``: with ``async def``, so that they run in the event loop. ``def``: as plain functions,
#: which Starlette and FastAPI run in a pool of threads.
ENDPOINTS: Final[tuple[Endpoint, ...]] = ("async", "def")

#: Tokens of anyio's default limiter: plain functions that run at once in a worker
#: (`current_default_thread_limiter`, anyio/_backends/_asyncio.py).
TOTAL_TOKENS: Final = 40
