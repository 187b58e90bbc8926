"""Where a server of the rig listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

HOST = "127.0.0.1"

#: Where a server listens: host and port, or the path of a Unix socket.
Address = tuple[str, int] | str


@contextmanager
def reserved_port(*, reuse_port: bool, host: str = HOST) -> Iterator[int]:
    """A port of ``host`` that no other program is given before the server listens at it.

    The reserving socket is bound but never listens, so it gets no connection; SO_REUSEADDR, or
    SO_REUSEPORT, on both sides lets the server bind the port too.
    """
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind((host, 0))
        yield reservation.getsockname()[1]
