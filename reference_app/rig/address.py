"""Where a server of the rig listens."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

HOST = "127.0.0.1"

#: Numbers the servers that this process measures.
_numbers = count(1)

#: Last numbers of addresses that are no network's own or broadcast address.
_HOSTS = 254

#: Where a server listens: host and port, or the path of a Unix socket.
Address = tuple[str, int] | str


def fresh_host() -> str:
    """An address of the loopback device that hardly any server has had in the last hour.

    For that long the kernel keeps, for each pair of addresses, how long handshakes took
    (net/ipv4/tcp_metrics.c). With a full accept queue they may take seconds, and the next client of
    that address waits as long before it sends a lost request again.
    """
    process = os.getpid()
    # 127.0.0.1 itself is of no process: 0 is the kernel's own.
    return f"127.{process >> 8 & 255}.{process & 255}.{next(_numbers) % _HOSTS + 1}"


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
