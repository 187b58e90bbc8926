"""A Dask cluster on loopback: a real scheduler and two worker processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

#: s that it may take to begin.
LIMIT = 60


class Cluster(NamedTuple):
    """A scheduler's address, and its worker processes."""

    address: str
    workers: tuple[subprocess.Popen[bytes], ...]


@contextmanager
def dask_cluster(folder: Path) -> Iterator[Cluster]:
    """Run a cluster, whose files are in ``folder``; nothing of it is left when the block ends."""
    where = folder / "scheduler.json"
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    started: list[subprocess.Popen[bytes]] = []

    def start(module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *local, *arguments]
        with (folder / f"{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder))

    try:
        start("dask_scheduler", "--port", "0", "--scheduler-file", str(where))
        for _ in range(2):
            # They wait for the scheduler's file themselves.
            start("dask_worker", "--scheduler-file", str(where), "--nthreads", "1", "--no-nanny")
        deadline = time.monotonic() + LIMIT
        while sum("Registered to" in log.read_text() for log in folder.glob("*.log")) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield Cluster(json.loads(where.read_text())["address"], tuple(started[1:]))
    finally:
        for process in reversed(started):
            process.kill()
            process.wait(timeout=LIMIT)
