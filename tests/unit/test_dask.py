"""A Dask cluster on loopback: a real scheduler, two worker processes, one of which is killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from dask_cluster import LIMIT, Cluster, dask_cluster
from study_run import free, known_of, question

from sim.cli import main
from sim.study.conduct import conduct
from sim.study.executors import dask
from sim.study.sizing import conclude, plan
from sim.study.trial import Known, submitter


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with dask_cluster(tmp_path) as running:
        yield running


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
