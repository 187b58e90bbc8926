"""Limits the CPU of the server: a cgroup of its own, version 1 or 2, whichever is mounted.

::

    cgroup of this process (or one above it)
      |   the rig, the load generator, nginx
      +-- gunicorn-sim-PID: master and workers     cpu.max, or cpu.cfs_quota_us; cpu.stat

It takes root, or a version 2 cgroup that was delegated with the controller ``cpu``. A process of
its own removes the group when this one has died without doing so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sim.errors import ExperimentError
from sim.experiment import Host
from sim.experiment.host import CPU_PERIOD
from sim.run import CpuStat

MOUNTS = Path("/proc/self/mountinfo")
OWN = Path("/proc/self/cgroup")

#: s that ended processes may take to leave the group.
LEAVE = 5.0
#: s between two looks at that.
LOOK = 0.02
#: s that the watcher tries to remove the group of a rig that has died: its server may take a
#: graceful timeout to end.
ORPHAN = 120.0

#: Runs in the watcher: its stdin ends with the rig.
_WATCH = """
import os, sys, time
sys.stdin.read()
end = time.monotonic() + float(sys.argv[1])
left = sys.argv[2:]
while left and time.monotonic() < end:
    for directory in list(left):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            left.remove(directory)
        except OSError:
            pass
        else:
            left.remove(directory)
    time.sleep(0.05)
"""


@dataclass(frozen=True, slots=True)
class CpuGroup:
    """The server's cgroup.

    Attributes:
        directory: of the controller ``cpu``.
        accounting: of version 1's ``cpuacct``; None where ``directory`` has it, or nothing does.
    """

    directory: Path
    accounting: Path | None = None

    @property
    def directories(self) -> tuple[Path, ...]:
        """All that are to be removed."""
        return (self.directory,) if self.accounting is None else (self.directory, self.accounting)

    def add(self, pid: int) -> None:
        """Move a process into it; what that forks from then on is in it too.

        Raises:
            ExperimentError: when the kernel refuses it.
        """
        for directory in self.directories:
            _write(directory / "cgroup.procs", str(pid))

    def stat(self) -> CpuStat:
        """``cpu.stat`` so far."""
        numbers = dict(
            line.split(maxsplit=1)
            for line in (self.directory / "cpu.stat").read_text(encoding="ascii").splitlines()
        )
        if "throttled_usec" in numbers:
            throttled = int(numbers["throttled_usec"]) * 1e-6
        else:
            throttled = int(numbers.get("throttled_time", 0)) * 1e-9
        return CpuStat(
            int(numbers["nr_periods"]),
            int(numbers["nr_throttled"]),
            throttled,
            self._usage(numbers),
        )

    def _usage(self, numbers: dict[str, str]) -> float | None:
        if "usage_usec" in numbers:
            return int(numbers["usage_usec"]) * 1e-6
        try:
            usage = (self.accounting or self.directory) / "cpuacct.usage"
            return int(usage.read_text(encoding="ascii")) * 1e-9
        except OSError:
            return None


@contextmanager
def cpu_group(host: Host) -> Iterator[CpuGroup | None]:
    """A cgroup with the host's CPU limit, for the server; None without a limit.

    It is removed when the block ends; all its processes must have ended by then. A watcher removes
    it if this process dies before.

    Raises:
        ExperimentError: when no cgroup with a CPU limit can be made here.
    """
    if host.cpu_limit is None:
        yield None
        return
    group = _made(host.cpu_limit, host.cpu_burst or 0.0)
    try:
        with _watched(group):
            yield group
    finally:
        _remove(group)


def version() -> str:
    """The version of the cgroups in which servers are put here."""
    return "1" if "cpu" in _mounts() else "2"


def difference(until: CpuStat, since: CpuStat) -> CpuStat:
    """What happened between two looks."""
    usage = None
    if until.usage is not None and since.usage is not None:
        usage = until.usage - since.usage
    return CpuStat(
        until.nr_periods - since.nr_periods,
        until.nr_throttled - since.nr_throttled,
        until.throttled_time - since.throttled_time,
        usage,
    )


def _made(limit: float, burst: float) -> CpuGroup:
    """A new cgroup with the limit.

    Raises:
        ExperimentError: when none can be made.
    """
    mounts = _mounts()
    name = f"gunicorn-sim-{os.getpid()}"
    quota, period = round(limit * CPU_PERIOD * 1e6), round(CPU_PERIOD * 1e6)
    saved = round(burst * 1e6)
    if "cpu" in mounts:
        accounting = mounts.get("cpuacct")
        if accounting == mounts["cpu"]:
            accounting = None
        group = CpuGroup(mounts["cpu"] / name, None if accounting is None else accounting / name)
        _make(group, {"cpu.cfs_period_us": period, "cpu.cfs_quota_us": quota}, limit)
        if saved:
            _limit(group, {"cpu.cfs_burst_us": saved}, limit)
        return group
    if "" in mounts:
        parent = _delegated(mounts[""], limit)
        group = CpuGroup(parent / name)
        _make(group, {"cpu.max": f"{quota} {period}"}, limit)
        if saved:
            _limit(group, {"cpu.max.burst": saved}, limit)
        return group
    raise _refused(limit, "no cgroup hierarchy with the controller cpu is mounted")


def _make(group: CpuGroup, values: dict[str, object], limit: float) -> None:
    try:
        for directory in group.directories:
            directory.mkdir()
    except OSError as error:
        _remove(group)
        raise _refused(limit, f"{error.filename}: {error.strerror}") from None
    _limit(group, values, limit)


def _limit(group: CpuGroup, values: dict[str, object], limit: float) -> None:
    for name, value in values.items():
        try:
            (group.directory / name).write_text(str(value), encoding="ascii")
        except OSError as error:
            _remove(group)
            why = f"{group.directory / name} does not take {value}: {error.strerror}"
            raise _refused(limit, why) from None


def _refused(limit: float, why: str) -> ExperimentError:
    return ExperimentError(
        f"cpu_limit is {limit:g}, and no cgroup can be made for the server ({why}); expected root, "
        "or a version 2 cgroup that was delegated with the controller cpu"
    )


def _mounts() -> dict[str, Path]:
    """This process's own directory in each hierarchy, by controller; that of version 2 by ''."""
    own: dict[str, str] = {}
    for line in OWN.read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    directories: dict[str, Path] = {}
    for line in MOUNTS.read_text(encoding="utf-8").splitlines():
        fields, _, rest = line.partition(" - ")
        root, point = fields.split()[3:5]
        kind, _, options = rest.split(maxsplit=2)
        if kind not in ("cgroup", "cgroup2"):
            continue
        for controller in options.split(",") if kind == "cgroup" else ("",):
            if controller in own and controller not in directories:
                directories[controller] = _inside(Path(point), root, own[controller])
    return directories


def _inside(point: Path, root: str, own: str) -> Path:
    """Where a mount of ``root`` has the cgroup ``own``."""
    relative = os.path.relpath(own, root)
    return point if relative.startswith("..") else point / relative


def _delegated(own: Path, limit: float) -> Path:
    """The nearest cgroup from this process's upwards whose children have the controller ``cpu``.

    One with processes of its own is passed over, unless it is the hierarchy's root. The kernel lets
    it give ``cpu``, a controller of threads, to its children, which take no process from then on
    (``Documentation/admin-guide/cgroup-v2.rst``, "Threads").
    """
    for directory in (own, *own.parents):
        control = directory / "cgroup.subtree_control"
        if not control.exists():
            break
        # The root alone has no type.
        if (directory / "cgroup.type").exists() and _has_processes(directory):
            continue
        if "cpu" not in control.read_text(encoding="ascii").split():
            with suppress(OSError):
                control.write_text("+cpu", encoding="ascii")
        enabled = "cpu" in control.read_text(encoding="ascii").split()
        if enabled and os.access(directory, os.W_OK):
            return directory
    raise _refused(limit, f"{own} and those above it let no child have the controller cpu")


def _has_processes(directory: Path) -> bool:
    """Whether processes are in a version 2 cgroup itself, or its children take none."""
    try:
        return bool((directory / "cgroup.procs").read_text(encoding="ascii"))
    except OSError:
        # Of a cgroup of threads the kernel does not say which processes they belong to.
        return True


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="ascii")
    except OSError as error:
        raise ExperimentError(
            f"{path} does not take process {text}: {error.strerror}; expected a cgroup that it may "
            "enter"
        ) from None


@contextmanager
def _watched(group: CpuGroup) -> Iterator[None]:
    """A process that removes the group once this one has died without doing so."""
    command = [sys.executable, "-I", "-S", "-c", _WATCH, str(ORPHAN)]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and text
        [*command, *map(str, group.directories)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Ctrl-C is for the rig.
        process_group=0,
    ) as watcher:
        try:
            yield
        finally:
            _remove(group)
            watcher.kill()


def _remove(group: CpuGroup) -> None:
    """Remove it as soon as its processes have left it."""
    deadline = time.monotonic() + LEAVE
    for directory in group.directories:
        while directory.exists():
            try:
                directory.rmdir()
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ExperimentError(
                        f"cgroup {directory} is still in use ({error.strerror}); expected all its "
                        "processes to have ended"
                    ) from None
                time.sleep(LOOK)
