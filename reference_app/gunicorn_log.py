"""Reads what Gunicorn logs under `reference_app.rig_config` into process events.

A line is ``SECONDS [PID] [LEVEL] message``, where SECONDS is CLOCK_MONOTONIC. Gunicorn's own
lines name a worker by its pid; the rig's line ``Worker N forked (pid: PID)`` says which worker
that is. N is the worker's ``age`` in the master: 1 for the first fork, and never used twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sim.run import ProcessEvent

#: `logging` format of a line; `time` is set by `reference_app.rig_config`.
FORMAT = "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"

_LINE = re.compile(r"(\d+\.\d{6}) \[(\d+)\] \[([A-Z]+)\] (.*)")
_FORKED = re.compile(r"Worker (\d+) forked \(pid: (\d+)\)")
_SIGNAL = re.compile(r"Handling signal: (\w+)")

#: Lines about the master. A master without a listening socket (``--reuse-port``) names none.
_MASTER = (
    (re.compile(r"Listening at: \S+ \(\d+\)"), "listening"),
    (re.compile(r"Shutting down: Master"), "shutdown"),
)

#: Lines about the worker with the pid in the group.
_WORKER = (
    (re.compile(r"Worker \d+ forked \(pid: (\d+)\)"), "fork"),
    (re.compile(r"LaunchDarkly postfork\(\) completed successfully in worker (\d+)"), "postfork"),
    (re.compile(r"LaunchDarkly postfork\(\) got no flags in worker (\d+)"), "postfork failed"),
    (re.compile(r"Worker \d+ ready \(pid: (\d+)\)"), "ready"),
    (re.compile(r"WORKER TIMEOUT \(pid:(\d+)\)"), "timeout"),
    (re.compile(r"Worker exiting \(pid: (\d+)\)"), "exiting"),
    (re.compile(r"Worker \d+ reaped \(pid: (\d+)\)"), "exit"),
)

#: Lines about the worker that logs them.
_SELF = ((re.compile(r"Autorestarting worker after current request"), "max_requests"),)


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


def worker_pids(lines: Iterable[LogLine]) -> dict[int, int]:
    """The pid of every worker that was ever forked, by boot order, from 1."""
    forks = (_FORKED.match(line.message) for line in lines)
    return dict(sorted((int(fork[1]), int(fork[2])) for fork in forks if fork))


def process_events(lines: Sequence[LogLine], start: float = 0.0) -> tuple[ProcessEvent, ...]:
    """What happened to the processes, by time.

    Of the master: ``listening``, ``signal NAME`` and ``shutdown``. Of a worker: ``fork`` (the
    child runs), ``postfork`` or ``postfork failed`` (LaunchDarkly), ``ready`` (about to accept),
    ``timeout`` (the master gave up on it), ``max_requests`` (about to restart), ``exiting`` (it
    says so itself), ``exit`` (the master reaped it).

    Args:
        lines: of one master, by time.
        start: the moment that the events count from, CLOCK_MONOTONIC s.
    """
    events: list[ProcessEvent] = []
    # A pid can come back, so it means the worker that was forked with it last.
    names: dict[int, str] = {}
    for line in lines:
        if fork := _FORKED.match(line.message):
            names[int(fork[2])] = f"worker {fork[1]}"
        if found := _event(line, names):
            kind, process = found
            events.append(ProcessEvent(line.time - start, kind, process))
    return tuple(events)


def _event(line: LogLine, names: dict[int, str]) -> tuple[str, str] | None:
    """The kind and process of a line; None when it is about neither."""
    if signal := _SIGNAL.match(line.message):
        return f"signal {signal[1]}", "master"
    for pattern, kind in _MASTER:
        if pattern.match(line.message):
            return kind, "master"
    for pattern, kind in _WORKER:
        match = pattern.match(line.message)
        if match and int(match[1]) in names:
            return kind, names[int(match[1])]
    for pattern, kind in _SELF:
        if pattern.match(line.message) and line.pid in names:
            return kind, names[line.pid]
    return None
