"""The service as the rig starts it for an experiment with traps; see `reference_app.rig.traps`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from reference_app.app import app as service
from reference_app.rig.sprung import hanging, hangs_no_more


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve a request, unless it springs a trap first."""
    query = hanging(environ["QUERY_STRING"])
    if query is None:
        return service(environ, start_response)
    environ["QUERY_STRING"] = query
    answer = service(environ, start_response)
    hangs_no_more()
    return answer
