"""`trapped_app` as an ASGI application."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from reference_app.asgi_app import app as service
from reference_app.rig.sprung import hanging, hangs_no_more


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a request, unless it springs a trap first."""
    query = hanging(scope["query_string"].decode()) if scope["type"] == "http" else None
    if query is None:
        await service(scope, receive, send)
        return
    await service({**scope, "query_string": query.encode()}, receive, send)
    hangs_no_more()
