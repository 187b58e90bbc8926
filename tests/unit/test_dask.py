"""A Dask cluster on loopback: a real scheduler, two worker processes, one of which is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from study_run import free, known_of, question

from sim.cli import main
from sim.study.conduct import conduct
from sim.study.executors import dask
from sim.study.sizing import conclude, plan
from sim.study.trial import Known, submitter

LIMIT = 60


class Cluster(NamedTuple):
    """A scheduler's address, and its worker processes."""

    address: str
    workers: tuple[subprocess.Popen[bytes], ...]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    where = tmp_path / "scheduler.json"
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    started: list[subprocess.Popen[bytes]] = []

    def start(module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *local, *arguments]
        with (tmp_path / f"{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path))

    try:
        start("dask_scheduler", "--port", "0", "--scheduler-file", str(where))
        for _ in range(2):
            # They wait for the scheduler's file themselves.
            start("dask_worker", "--scheduler-file", str(where), "--nthreads", "1", "--no-nanny")
        deadline = time.monotonic() + LIMIT
        while sum("Registered to" in log.read_text() for log in tmp_path.glob("*.log")) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield Cluster(json.loads(where.read_text())["address"], tuple(started[1:]))
    finally:
        for process in reversed(started):
            process.kill()
            process.wait(timeout=LIMIT)


def test_a_killed_worker_changes_nothing(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = question(free(60.0, requests=600), "p95=200ms", over={"threads": (4, 5, 6, 8)}, most=6)
    expected = known_of(asked)
    known: Known = {}
    half = len(expected) // 2
    with dask(cluster.address) as executor:
        observed = conduct(lambda k: plan(asked, k), known, submitter(executor, asked.base))
        for number, _ in enumerate(observed, start=1):
            if number == half:
                cluster.workers[0].kill()
                cluster.workers[0].wait(timeout=LIMIT)
    assert known == expected
    assert conclude(asked, known).complete
    assert not psutil.pid_exists(cluster.workers[0].pid)

    # The cluster is as good for the command line.
    flags = ["sweep", "--over", "workers=1,2", "--requests", "100", "--json"]
    there = subprocess.run(
        [sys.executable, "-m", "sim", *flags, "--dask", cluster.address],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    main([*flags, "--jobs", "1"])
    assert (there.stdout, there.stderr) == (capsys.readouterr().out, "")
