"""Carries packets between two TUN devices, each later: a network with a delay and nothing else.

A process of its own. It loses no packet and reorders none. Its bandwidth is that of a core, which
it gets before ordinary processes do (SCHED_FIFO).
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from typing import NoReturn

from reference_app.rig.parent import end_with_parent

#: Bytes of the largest packet: a device's MTU is 1500, and an IPv4 packet's length has 16 bits.
LARGEST = 65536


def relay(devices: tuple[int, int], delay: float) -> NoReturn:
    """Write each packet of one device to the other one, ``delay`` s after it was there to read.

    Args:
        devices: file descriptors of two TUN devices.
        delay: s that a packet takes, the same both ways.
    """
    peer = dict(zip(devices, reversed(devices), strict=True))
    # All take equally long, so the next that is due is the one that was read first.
    under_way: deque[tuple[float, int, bytes]] = deque()
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        readable, _, _ = select.select(devices, (), (), wait)
        now = time.monotonic()
        for device in readable:
            under_way.append((now + delay, peer[device], os.read(device, LARGEST)))
        while under_way and under_way[0][0] <= now:
            _, device, packet = under_way.popleft()
            os.write(device, packet)


def main() -> NoReturn:
    """Be that process: ``PARENT DEVICE DEVICE DELAY`` on the command line; write a line, begin."""
    parent, first, second = map(int, sys.argv[1:4])
    end_with_parent(parent, signal.SIGKILL)
    # A network waits for no core. Where it may not, packets are late while the machine is busy.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    relay((first, second), float(sys.argv[4]))
