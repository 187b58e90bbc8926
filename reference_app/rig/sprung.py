"""What a trap does to the request that springs it; see `reference_app.rig.traps`."""

from __future__ import annotations

import logging
import os
from urllib.parse import parse_qs, urlencode

from reference_app.rig.gunicorn_log import CRASHES, HANGS, HANGS_NO_MORE
from reference_app.rig.traps import TrapBoard

_board = TrapBoard.attach()
_log = logging.getLogger("gunicorn.error")


def hanging(query: str) -> str | None:
    """Spring the trap that is set for this worker; a crash ends the process here.

    Args:
        query: of the request.

    Returns:
        The query with which the request hangs; None without a trap. It waits longer where it waits
        anyway, so that its start is noted where every start is.
    """
    pid = os.getpid()
    crashes, seconds = _board.spring(pid)
    if crashes:
        _log.error(CRASHES, pid)
        os._exit(1)
    if not seconds:
        return None
    _log.warning(HANGS, pid)
    parameters = parse_qs(query)
    io = float(parameters.get("io", ["0"])[-1]) + seconds
    return urlencode({**parameters, "io": [repr(io)]}, doseq=True)


def hangs_no_more() -> None:
    """Note that the request has ended after all."""
    _log.warning(HANGS_NO_MORE, os.getpid())
