"""A network between the server and its clients: every packet takes half of a round trip.

::

    network namespace of the server            namespace of the clients
      rig, Gunicorn, flag service, kubelet       load generator
      10.0.0.1 --- TUN device <--- relay ---> TUN device --- 10.0.0.2

Both namespaces are new, and neither has another way out, so the machine's own network does not
change. They have no names: the kernel removes them, and all that is in them, with the last process
or file descriptor of theirs, however these end. The relay is a process of ours
(`reference_app.rig.relay`). The kernel's own delay, netem, is a module that many kernels lack.

It takes root (CAP_SYS_ADMIN and CAP_NET_ADMIN).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from reference_app.rig.pinning import pin, pinning
from sim.errors import ExperimentError
from sim.experiment import Host

ROOT = Path(__file__).resolve().parents[2]

#: Addresses in the two namespaces; no other network is in them.
SERVER, CLIENTS = "10.0.0.1", "10.0.0.2"
_NETMASK = "255.255.255.252"

#: Packets that a device keeps until the relay reads them; the default, 500, may be too few.
_QUEUE = 10_000

_TUN = "/dev/net/tun"
_OWN_NAMESPACE = "/proc/thread-self/ns/net"
_SOMAXCONN = Path("/proc/sys/net/core/somaxconn")

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C  # linux/sockios.h
_SIOCSIFTXQLEN = 0x8943
_IFF_UP, _IFF_RUNNING = 0x1, 0x40  # linux/if.h
_NAME = b"tun0"

#: ``struct ifreq`` (linux/if.h) with an address, flags or a number in its union.
_WITH_ADDRESS = struct.Struct("16sH2x4s16x")
_WITH_FLAGS = struct.Struct("16sH22x")
_WITH_NUMBER = struct.Struct("16si20x")


@dataclass(frozen=True, slots=True)
class Network:
    """The network, while it is there.

    Attributes:
        clients: file descriptor of their namespace.
    """

    clients: int


@contextmanager
def network(host: Host) -> Iterator[Network | None]:
    """A network with the host's round trip; None without one.

    In the block this thread, and what it starts from then on, is in the namespace of the server,
    at `SERVER`; who is to be a client calls `enter`. ``net.core.somaxconn`` is as it is outside.

    Raises:
        ExperimentError: when none can be made here, or its relay has ended in the block.
    """
    if not host.rtt:
        yield None
        return
    with ExitStack() as stack:
        try:
            clients, devices = _namespaces(stack)
        except OSError as error:
            what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
            raise ExperimentError(
                f"rtt is {host.rtt:g}, and no network to the clients can be made here ({what}); "
                f"expected root, network namespaces and {_TUN}: python -m sim predicts it"
            ) from None
        process = stack.enter_context(_relaying(host, devices))
        yield Network(clients)
        if process.poll() is not None:
            raise ExperimentError(
                f"the relay of packets ended with {process.returncode}; expected it to last as "
                "long as the server"
            )


def enter(namespace: int) -> None:
    """Move this thread, and what it starts from then on, into a network namespace.

    Args:
        namespace: file descriptor of it.

    Raises:
        OSError: when the kernel refuses it.
    """
    _call("setns", namespace, _CLONE_NEWNET)


def _namespaces(stack: ExitStack) -> tuple[int, tuple[int, int]]:
    """Make both, enter the server's, and leave it when ``stack`` ends.

    Returns:
        The clients' namespace, and the TUN devices of server and clients, as file descriptors.

    Raises:
        OSError: when the kernel refuses it.
    """
    somaxconn = _SOMAXCONN.read_text(encoding="ascii")
    outside = _opened(stack, _OWN_NAMESPACE, os.O_RDONLY)
    _call("unshare", _CLONE_NEWNET)
    stack.callback(enter, outside)
    _SOMAXCONN.write_text(somaxconn, encoding="ascii")
    server = _opened(stack, _OWN_NAMESPACE, os.O_RDONLY)
    server_device = _device(stack, SERVER)
    _call("unshare", _CLONE_NEWNET)
    clients = _opened(stack, _OWN_NAMESPACE, os.O_RDONLY)
    clients_device = _device(stack, CLIENTS)
    enter(server)
    return clients, (server_device, clients_device)


def _device(stack: ExitStack, address: str) -> int:
    """A TUN device in this thread's namespace, and the loopback device beside it."""
    device = _opened(stack, _TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, _WITH_FLAGS.pack(_NAME, _IFF_TUN | _IFF_NO_PI))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, _NETMASK)):
            packed = _WITH_ADDRESS.pack(_NAME, socket.AF_INET, socket.inet_aton(value))
            fcntl.ioctl(any_socket, request, packed)
        fcntl.ioctl(any_socket, _SIOCSIFTXQLEN, _WITH_NUMBER.pack(_NAME, _QUEUE))
        for name in (_NAME, b"lo"):
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _WITH_FLAGS.pack(name, _IFF_UP | _IFF_RUNNING))
    return device


def _opened(stack: ExitStack, path: str, flags: int) -> int:
    descriptor = os.open(path, flags)
    stack.callback(os.close, descriptor)
    return descriptor


@contextmanager
def _relaying(host: Host, devices: tuple[int, int]) -> Iterator[subprocess.Popen[bytes]]:
    """The relay, which ends with the block or with this process."""
    assert host.rtt is not None
    arguments = [str(os.getpid()), *map(str, devices), repr(host.rtt / 2)]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-c", "from reference_app.rig.relay import main; main()", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # As the server: see `reference_app.rig.server`.
        process_group=0,
        pass_fds=devices,
    ) as process:
        try:
            pinned = pinning(host)
            if pinned is not None:
                pin(process.pid, pinned.clients)
            assert process.stdout is not None
            if not process.stdout.readline():
                raise ExperimentError(
                    f"the relay of packets ended with {process.wait()}; expected it to be ready"
                )
            yield process
        finally:
            process.kill()


def _call(function: str, *arguments: int) -> None:
    """Call a function of libc that returns 0, or -1 and sets errno."""
    # `os.unshare` and `os.setns` came with Python 3.12.
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), function)
