"""The service as the rig starts it for an experiment with traps; see `reference_app.rig.traps`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs, urlencode

from reference_app.app import app as service
from reference_app.rig.gunicorn_log import CRASHES, HANGS, HANGS_NO_MORE
from reference_app.rig.traps import TrapBoard

_board = TrapBoard.attach()
_log = logging.getLogger("gunicorn.error")


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve a request, unless it springs a trap first."""
    pid = os.getpid()
    crashes, seconds = _board.spring(pid)
    if crashes:
        _log.error(CRASHES, pid)
        os._exit(1)
    if not seconds:
        return service(environ, start_response)
    _log.warning(HANGS, pid)
    # It waits longer where it waits anyway, so that its start is seen where every start is.
    query = parse_qs(environ["QUERY_STRING"])
    io = float(query.get("io", ["0"])[-1]) + seconds
    environ["QUERY_STRING"] = urlencode({**query, "io": [repr(io)]}, doseq=True)
    answer = service(environ, start_response)
    _log.warning(HANGS_NO_MORE, pid)
    return answer
