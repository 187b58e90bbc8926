"""Reads what Gunicorn logs under `reference_app.rig.rig_config` into process events.

A line is ``SECONDS [PID] [LEVEL] message``, where SECONDS is CLOCK_MONOTONIC. Gunicorn's own
lines name a worker by its pid; the rig's line ``Worker N forked (pid: PID, master: PID)`` says
which worker that is. N is the worker's ``age`` in that master: 1 for the first fork, and never
used twice. A second master (SIGUSR2) begins at 1 again; here its workers are counted on.
"""

from __future__ import annotations

import re
from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sim.run import ProcessEvent

#: `logging` format of a line; `time` is set by `reference_app.rig.rig_config`.
FORMAT = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"

#: What the rig makes a worker log: its birth, the end of its boot, and traps that are sprung.
FORKED = "Worker %s forked (pid: %s, master: %s)"
READY = "Worker %s ready (pid: %s)"
CANNOT_BOOT = "Worker %s cannot boot (pid: %s)"
REAPED = "Worker %s reaped (pid: %s)"
CRASHES = "A request crashes the worker (pid: %s)"
HANGS = "A request hangs in the worker (pid: %s)"
HANGS_NO_MORE = "A request does not hang any more in the worker (pid: %s)"

#: How events name the first master, and that of the pod which a rollout creates.
MASTER = "master"
NEW_MASTER = "master 2"

_LINE = re.compile(r"(\d+\.\d{6}) \[(\d+)\] \[([A-Z]+)\] (.*)")
_FORKED = re.compile(r"Worker (\d+) forked \(pid: (?P<pid>\d+), master: (\d+)\)")
_SIGNAL = re.compile(r"Handling signal: (\w+)")

#: Lines that a master logs. One without a listening socket (``--reuse-port``) names none.
_MASTER = (
    (re.compile(r"Listening at: \S+ \(\d+\)"), "listening"),
    (re.compile(r"Shutting down: Master"), "shutdown"),
    (re.compile(r"Reason: (Worker failed to boot|App failed to load)"), "halt"),
    (re.compile(r"Master has been promoted"), "promoted"),
)

#: Lines about the worker with the pid in the group.
_WORKER = (
    (_FORKED, "fork"),
    (
        re.compile(r"LaunchDarkly postfork\(\) completed successfully in worker (?P<pid>\d+)"),
        "postfork",
    ),
    (
        re.compile(r"LaunchDarkly postfork\(\) got no flags in worker (?P<pid>\d+)"),
        "postfork failed",
    ),
    (re.compile(r"Worker \d+ cannot boot \(pid: (?P<pid>\d+)\)"), "boot failed"),
    (re.compile(r"Worker \d+ ready \(pid: (?P<pid>\d+)\)"), "ready"),
    (re.compile(r"A request crashes the worker \(pid: (?P<pid>\d+)\)"), "crash"),
    (re.compile(r"A request hangs in the worker \(pid: (?P<pid>\d+)\)"), "hang"),
    (
        re.compile(r"A request does not hang any more in the worker \(pid: (?P<pid>\d+)\)"),
        "hang over",
    ),
    (re.compile(r"WORKER TIMEOUT \(pid:(?P<pid>\d+)\)"), "timeout"),
    (re.compile(r"Worker exiting \(pid: (?P<pid>\d+)\)"), "exiting"),
    # Gunicorn tells of bad ends only, and its hook is not called where the end halts the server.
    (re.compile(r"Worker \d+ reaped \(pid: (?P<pid>\d+)\)"), "exit"),
    (re.compile(r"Worker \(pid:(?P<pid>\d+)\) exited with code"), "exit"),
    (re.compile(r"Worker \(pid:(?P<pid>\d+)\) was sent"), "exit"),
    (re.compile(r"Worker with pid (?P<pid>\d+) was terminated"), "exit"),  # before 21.0
)

#: Lines about the worker that logs them.
_SELF = (
    (re.compile(r"Autorestarting worker after current request"), "max_requests"),
    (re.compile(r"Maximum request limit of \d+ exceeded"), "max_requests"),  # uvicorn's
    (re.compile(r"Parent changed, shutting down"), "orphaned"),
)


#: Events that a process has once, however many lines tell of it: Gunicorn and the rig's hook both
#: tell of an end, and an asgi worker says at every request that it has had its last.
ONCE = frozenset({"exit", "max_requests"})


class LogLine(NamedTuple):
    """One line of the log.

    Attributes:
        time: CLOCK_MONOTONIC, s.
        pid: of the process that logged it.
        level: ``INFO``, ...
        message: the rest.
    """

    time: float
    pid: int
    level: str
    message: str


def log_lines(text: str) -> list[LogLine]:
    """The whole log lines in ``text``, by time; tracebacks and other output are left out."""
    matches = (_LINE.fullmatch(line) for line in text.split("\n"))
    lines = [LogLine(float(m[1]), int(m[2]), m[3], m[4]) for m in matches if m]
    # Processes write for themselves, so neighbours may come in the wrong order.
    return sorted(lines, key=lambda line: line.time)


class _Birth(NamedTuple):
    """A worker's first line: by which master, as which of its workers, and under which pid."""

    master: str
    age: int
    pid: int


def _birth(line: LogLine) -> _Birth | None:
    fork = _FORKED.match(line.message)
    return fork and _Birth(fork[3], int(fork[1]), int(fork[2]))


def _boot_orders(lines: Iterable[LogLine]) -> dict[_Birth, int]:
    """The boot order of every worker, from 1, over all masters."""
    # Children write for themselves, so neighbours may come in the wrong order: of one master's,
    # the first moment belongs to the lowest age.
    moments: defaultdict[str, list[float]] = defaultdict(list)
    births: defaultdict[str, list[_Birth]] = defaultdict(list)
    for line in lines:
        if birth := _birth(line):
            insort(moments[birth.master], line.time)
            insort(births[birth.master], birth)
    in_order = sorted(
        timed for master in births for timed in zip(moments[master], births[master], strict=True)
    )
    return {birth: number for number, (_, birth) in enumerate(in_order, start=1)}


def worker_pids(lines: Iterable[LogLine]) -> dict[int, int]:
    """The pid of every worker that was ever forked, by boot order, from 1."""
    return {number: birth.pid for birth, number in _boot_orders(lines).items()}


def process_events(
    lines: Sequence[LogLine], start: float = 0.0, known: Mapping[int, str] | None = None
) -> tuple[ProcessEvent, ...]:
    """What happened to the processes, by time; see `sim.run.ProcessEvent` for the kinds.

    Args:
        lines: of one service, by time.
        start: the moment that the events count from, CLOCK_MONOTONIC s.
        known: names, by pid, of masters that no other master has started; without any, the first
            to log is the first.
    """
    events: list[ProcessEvent] = []
    boot_orders = _boot_orders(lines)
    # A pid can come back, so it means the worker that was forked with it last.
    names: dict[int, str] = {}
    masters = dict(known or {})
    once: set[tuple[str, str]] = set()
    for line in lines:
        if birth := _birth(line):
            names[birth.pid] = f"worker {boot_orders[birth]}"
        event = _event(line, names, masters)
        if event is None:
            continue
        kind, process = event
        if kind in ONCE:
            if event in once:
                continue
            once.add(event)
        events.append(ProcessEvent(line.time - start, kind, process))
    return tuple(events)


def _event(line: LogLine, names: dict[int, str], masters: dict[int, str]) -> tuple[str, str] | None:
    """The kind and process of a line; None when it is about neither.

    Args:
        line: of the log.
        names: of the workers, by pid.
        masters: names of the masters, by pid; one more is added when it logs its first line.
    """
    if signal := _SIGNAL.match(line.message):
        # In whichever letters the release logs it: kinds are in small ones.
        return f"signal {signal[1].lower()}", _master(line.pid, masters)
    for pattern, kind in _MASTER:
        if pattern.match(line.message):
            return kind, _master(line.pid, masters)
    for pattern, kind in _WORKER:
        match = pattern.match(line.message)
        if match:
            pid = int(match["pid"])
            return (kind, names[pid]) if pid in names else None
    for pattern, kind in _SELF:
        if pattern.match(line.message) and line.pid in names:
            return kind, names[line.pid]
    return None


def _master(pid: int, masters: dict[int, str]) -> str:
    number = len(set(masters.values())) + 1
    return masters.setdefault(pid, f"{MASTER} {number}" if masters else MASTER)
