"""A CPU limit on real Gunicorn: the server is in a cgroup, the load generator is not.

Goal: the kernel throttles the real server as the model says, and no cgroup is left, whatever
happens to the rig. Method: a server whose requests compute at a quarter of a core, and rigs that
fail, are interrupted and are killed. Where no cgroup can be made, tests are skipped, with why.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from reference_app.rig import cgroup
from reference_app.rig.cgroup import CpuGroup, cpu_group
from reference_app.rig.measure import measure
from reference_app.rig.server import Application, running_server
from sim.errors import ExperimentError
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from sim.run import CpuStat

#: s that a command may take; most is Python's and Gunicorn's start.
LIMIT = 60

#: s until something must have happened, and between two looks.
PATIENCE, LOOK = 15.0, 0.05

#: A quarter of a core for requests that need 80 ms of CPU, twice a second: other programs may have
#: most of the machine, and the limit is still what the server waits for.
COMPUTING = Experiment(
    Server(workers=2, preload_app=True),
    Host(cpu_limit=0.25),
    Traffic(arrivals="constant", rate=2.0, requests=8, cpu=Distribution("const", (0.08,))),
)


@pytest.fixture(autouse=True)
def _cgroups() -> None:
    """Skip where this machine lets us make no cgroup."""
    try:
        with cpu_group(Host(cpu_limit=0.5)):
            pass
    except ExperimentError as error:
        pytest.skip(str(error))


def groups(pid: int) -> list[Path]:
    """The directories of a rig's cgroup, in all hierarchies."""
    return [
        directory
        for own in set(cgroup._mounts().values())
        if (directory := own / f"gunicorn-sim-{pid}").exists()
    ]


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while groups(pid):
        assert time.monotonic() < deadline, f"{groups(pid)} is left"
        time.sleep(LOOK)


@pytest.fixture
def rig() -> Iterator[subprocess.Popen[bytes]]:
    """A rig that measures for a minute, once its server is in a cgroup."""
    flags = "--cpu-limit 0.5 --workers 2 --preload --rate 2 --duration 60 --cpu const:0.01"
    with subprocess.Popen(
        [sys.executable, "-m", "reference_app", "measure", *flags.split()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not any((it / "cgroup.procs").read_text() for it in groups(process.pid)):
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < deadline, "no process is in its cgroup"
                time.sleep(LOOK)
            yield process
        finally:
            process.kill()


def test_the_kernel_throttles_as_predicted() -> None:
    run = measure(COMPUTING, 0, lambda *_: None)
    assert groups(os.getpid()) == []
    stat = run.cpu_stat
    assert stat is not None
    predicted = [predict(COMPUTING, 0, variant).cpu_stat for variant in range(10)]
    counts = [it.nr_throttled for it in predicted if it is not None]
    # Other programs on this machine only make it slower, and then the limit throttles less.
    assert 0.5 * min(counts) <= stat.nr_throttled <= 1.5 * max(counts)
    assert stat.nr_throttled <= stat.nr_periods
    assert stat.throttled_time > 0.01 * stat.nr_throttled
    demand = math.fsum(run.requests.cpu)
    assert stat.usage is not None
    # Flask and Gunicorn need some 2 ms a request.
    assert demand < stat.usage < 1.25 * demand
    # The load generator's CPU is none of the server's: all of both would be over the limit.
    assert stat.usage <= 0.25 * 0.1 * (stat.nr_periods + 1) + 0.01


def test_all_processes_of_the_server_are_in_the_group_and_no_other() -> None:
    with running_server(COMPUTING) as server:
        group = server.cpu_group
        assert group is not None
        inside = {int(pid) for pid in (group.directory / "cgroup.procs").read_text().split()}
        assert inside == set(server.pids())
        assert os.getpid() not in inside
        children = {child.pid for child in psutil.Process().children(recursive=True)}
        assert inside < children, "the watcher is outside"
    assert groups(os.getpid()) == []


def test_a_server_that_does_not_boot_leaves_no_group() -> None:
    with (
        pytest.raises(ExperimentError, match="before its 2 workers were ready"),
        running_server(COMPUTING, Application("reference_app.nothing:app")),
    ):
        pass
    assert groups(os.getpid()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_rig_that_is_stopped_or_killed_leaves_no_group(
    rig: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    rig.send_signal(number)
    rig.wait(PATIENCE)
    wait_until_gone(rig.pid)


def test_where_no_cgroup_can_be_made_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 0:20 / / rw - ext4 /dev/root rw\n")
    monkeypatch.setattr(cgroup, "MOUNTS", mounts)
    with (
        pytest.raises(ExperimentError, match=r"cpu_limit is 0\.5, and no cgroup") as error,
        cpu_group(Host(cpu_limit=0.5)),
    ):
        pass
    assert "\n" not in str(error.value)


def test_a_limit_that_the_kernel_does_not_take_leaves_no_group() -> None:
    with (
        pytest.raises(ExperimentError, match="does not take"),
        cpu_group(Host(cpu_limit=1e12)),
    ):
        pass
    assert groups(os.getpid()) == []


def test_version_2_is_found_and_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A directory plays version 2, of which this machine may have no controller ``cpu``."""
    own = tmp_path / "user.slice" / "app.scope"
    own.mkdir(parents=True)
    for directory, controllers in ((own, ""), (own.parent, "cpu memory")):
        (directory / "cgroup.subtree_control").write_text(controllers)
    mounts, where = tmp_path / "mountinfo", tmp_path / "cgroup"
    mounts.write_text(f"30 1 0:26 /user.slice {own.parent} rw shared:4 - cgroup2 cgroup2 rw\n")
    where.write_text("0::/user.slice/app.scope\n")
    monkeypatch.setattr(cgroup, "MOUNTS", mounts)
    monkeypatch.setattr(cgroup, "OWN", where)
    assert cgroup._mounts() == {"": own}
    # Controllers of a group with processes cannot be given to its children: here, of none.
    (own / "cgroup.subtree_control").chmod(0o400)
    monkeypatch.setattr(Path, "write_text", refuse_subtree_control)
    assert cgroup._delegated(own, 0.5) == own.parent
    monkeypatch.undo()
    (own / "cpu.stat").write_text(
        "usage_usec 2500000\nuser_usec 2\nsystem_usec 1\nnr_periods 30\nnr_throttled 12\n"
        "throttled_usec 700000\nnr_bursts 0\nburst_usec 0\n"
    )
    assert CpuGroup(own).stat() == pytest.approx(CpuStat(30, 12, 0.7, 2.5))


def test_children_of_a_version_2_group_with_processes_would_take_none(tmp_path: Path) -> None:
    """The kernel gives them ``cpu`` all the same, but no process; the root may have both."""
    own = tmp_path / "system.slice" / "runner.service"
    own.mkdir(parents=True)
    for directory, processes in ((own, "4711\n"), (own.parent, ""), (tmp_path, "1\n")):
        (directory / "cgroup.subtree_control").write_text("")
        (directory / "cgroup.procs").write_text(processes)
        if directory != tmp_path:
            (directory / "cgroup.type").write_text("domain\n")

    def given(directory: Path) -> Path:
        # A file takes what is written to it; the kernel's has the name of the controller then.
        (directory / "cgroup.subtree_control").write_text("cpu\n")
        return cgroup._delegated(own, 0.5)

    assert given(own.parent) == own.parent
    assert (own / "cgroup.subtree_control").read_text() == ""
    (own.parent / "cgroup.procs").write_text("42\n")
    assert given(tmp_path) == tmp_path
    # Of a cgroup of threads it tells no processes.
    (own.parent / "cgroup.procs").unlink()
    assert given(tmp_path) == tmp_path
    # In a container, what looks like the root is none.
    (tmp_path / "cgroup.type").write_text("domain\n")
    with pytest.raises(ExperimentError, match="let no child have the controller cpu"):
        given(tmp_path)


def refuse_subtree_control(path: Path, text: str, encoding: str | None = None) -> int:
    """What the kernel answers: root may write what `chmod` forbids, so a test cannot rely on it."""
    raise OSError(16, f"{text} of {path} in {encoding}")
