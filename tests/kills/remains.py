"""What processes have while they run, and what of it is still there after their end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from own_processes import marked

#: Names a round in the environment of its processes.
MARK: Final = "KILLED_BY_TEST"

#: s that processes may take to be gone, after the signal and after their parent's end.
GONE: Final = 10.0

#: s between two looks at them.
LOOK: Final = 0.05

#: Where POSIX semaphores and shared memory are, as files.
SHARED: Final = "/dev/shm/"  # noqa: S108 - Linux's own name

#: Sockets by network namespace; a line ends with more than address, peer and state.
SOCKETS: Final = ("/proc/net/tcp", "/proc/net/tcp6")

#: The state of a listening socket there.
LISTEN: Final = "0A"


class Possessions(NamedTuple):
    """What processes have that may outlive them.

    Attributes:
        ports: that they listen at.
        shared: files of shared memory that they have mapped.
    """

    ports: frozenset[int] = frozenset()
    shared: frozenset[Path] = frozenset()


def family(mark: str, session: int | None) -> list[psutil.Process]:
    """The processes that live and have this mark in their environment, or are of this session.

    A session has those too that have overwritten their environment, as nginx does.
    """
    found = {process.pid: process for process in marked(MARK, mark)}
    for pid in psutil.pids() if session is not None else ():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if pid not in found and os.getsid(pid) == session:
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    found[pid] = process
    return [*found.values()]


def possessions(processes: list[psutil.Process]) -> Possessions:
    """What these processes have; nothing of those that have ended meanwhile."""
    ports: set[int] = set()
    shared: set[Path] = set()
    for process in processes:
        with suppress(psutil.Error, OSError):
            ports |= {
                each.laddr.port
                for each in process.net_connections("tcp")
                if each.status == psutil.CONN_LISTEN
            }
            maps = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8", errors="replace")
            shared |= {
                Path(SHARED + line.partition(SHARED)[2])
                for line in maps.splitlines()
                if SHARED in line
            }
    return Possessions(frozenset(ports), frozenset(path for path in shared if path.exists()))


def remains(mark: str, session: int | None, before: Possessions) -> list[str]:
    """What is left `GONE` s after the end of a command: a sentence for each thing."""
    deadline = time.monotonic() + GONE
    while found := [*_processes(mark, session), *_things(before)]:
        if time.monotonic() > deadline:
            return found
        time.sleep(LOOK)
    return []


def _processes(mark: str, session: int | None) -> Iterator[str]:
    for process in family(mark, session):
        with suppress(psutil.NoSuchProcess):
            yield f"a process runs on: {' '.join(process.cmdline())[:200]}"


def _things(before: Possessions) -> Iterator[str]:
    listening = set(listening_ports()) & before.ports
    yield from (f"a socket listens at port {port}" for port in sorted(listening))
    yield from (f"shared memory is left: {path}" for path in before.shared if path.exists())


def listening_ports() -> Iterator[int]:
    """The port of each TCP socket that listens here, in no order."""
    for table in SOCKETS:
        with suppress(FileNotFoundError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                _, local, _, state = line.split(maxsplit=4)[:4]
                if state == LISTEN:
                    yield int(local.rpartition(":")[2], 16)


@contextmanager
def ended(mark: str) -> Iterator[None]:
    """None of the processes with this mark outlives the block."""
    try:
        yield
    finally:
        for left in marked(MARK, mark):
            with suppress(psutil.NoSuchProcess):
                left.kill()
