"""Keeps the server and its clients on cores of their own, where the machine has enough.

An experiment whose clients are remote and whose host has fewer cores than this machine is measured
so: `sched_setaffinity(2)`, as ``taskset`` does it. The server's processes get the first cores, all
else of the experiment the others.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from sim.experiment import Host


class Pinning(NamedTuple):
    """Cores of the server, and of the load generator."""

    server: frozenset[int]
    clients: frozenset[int]


def pinning(host: Host) -> Pinning | None:
    """Where the processes of an experiment on ``host`` run; None: anywhere."""
    cores = sorted(os.sched_getaffinity(0))
    if host.clients != "remote" or host.cores >= len(cores):
        return None
    return Pinning(frozenset(cores[: host.cores]), frozenset(cores[host.cores :]))


def pin(pid: int, cores: frozenset[int]) -> None:
    """Let a process, and what it forks from then on, run on these cores only."""
    os.sched_setaffinity(pid, cores)
