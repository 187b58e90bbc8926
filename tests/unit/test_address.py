"""Where a server of the rig listens: at an address that the kernel knows nothing of."""

from __future__ import annotations

import socket
import subprocess
import sys
from ipaddress import ip_address

from reference_app.rig.address import HOST, fresh_host, reserved_port


def test_no_two_servers_have_one_address() -> None:
    """Not even of two processes: the kernel remembers handshakes for an hour."""
    program = "from reference_app.rig.address import fresh_host; print(fresh_host())"
    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    hosts = [other, HOST, *(fresh_host() for _ in range(200))]
    assert len(set(hosts)) == len(hosts)
    assert all(ip_address(host).is_loopback for host in hosts)


def test_clients_reach_it_from_the_usual_address() -> None:
    host = fresh_host()
    with (
        reserved_port(reuse_port=False, host=host) as port,
        socket.create_server((host, port)),
        socket.create_connection((host, port)) as client,
    ):
        assert client.getsockname()[0] == HOST
