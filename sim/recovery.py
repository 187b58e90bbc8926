"""How long the service took to be itself again after each thing that was done to it.

A disturbance is answerable for a window: from its ``at`` to the next one's, or to the end of the
run. Disturbances of one moment share a window, and so all numbers. In a window,

target
    is the capacity (`sim.capacity`) that the server was asked to have: workers x threads; one
    worker more for each TTIN to the master, one less for each TTOU, but never none; HUP goes back
    to ``workers``; USR2 adds a second master's. A master that is ended takes its workers from
    the target only if there is a second one: without, the service is never itself again.
restored
    is the last moment at which the capacity was not the target.
waiting
    is a request from 10 ms after its arrival until it starts, or ends without a start.
drained
    is the first moment from ``restored`` on at which no request waits.
lost
    are requests that ended in the window, but not ``ok``. Those that never ended are lost in the
    last window.
delayed
    are requests that ended ``ok`` in the window and waited longer than 99 % of those before the
    first disturbance did, and than 0.1 s.

Where the start of an ``ok`` request is not known, it is its end without the ``io`` and ``cpu``
that it asked for.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Any, NamedTuple

from sim.capacity import Step, capacity
from sim.disturbance import KINDS, Disturbance, Signal
from sim.disturbance_words import words
from sim.quantile import quantile
from sim.run import OK, Requests, Run

#: s that every request takes to reach a thread, on any host; less is not a queue.
UNAVOIDABLE = 0.010

#: s that a request may always wait before it counts as delayed.
LEAST_DELAY = 0.1

#: Of the waits before the first disturbance, those below the threshold of a delay.
USUAL = 0.99

#: s by which an interpreter may note a disturbance early: sums of floats are not exact.
EARLY = 1e-6


@dataclass(frozen=True, slots=True)
class Recovery:
    """What one disturbance cost.

    Attributes:
        at_s: when it came, s since the start of the run.
        kind: as in `sim.disturbance.KINDS`.
        what: what was done, in words.
        capacity_restored_after_s: s from ``at_s`` to the last moment in its window at which the
            capacity was not the target; 0 if it always was, None if it was not at the end.
        queue_drained_after_s: s from ``at_s`` to the first moment from then on at which no
            request waits; None if that was not in the window. Where capacity never came back,
            0 if no request was lost or delayed, else None.
        lost: number of requests.
        delayed: number of requests.
    """

    at_s: float
    kind: str
    what: str
    capacity_restored_after_s: float | None
    queue_drained_after_s: float | None
    lost: float
    delayed: float


class _Window(NamedTuple):
    """What a moment's disturbances are answerable for; ``end`` is infinite for the last."""

    at: float
    end: float
    target: int


class _Traffic(NamedTuple):
    """What the requests say.

    Attributes:
        lost: number in each window.
        delayed: number in each window.
        begins: of the times during which any request waits, s, in order and apart.
        ends: of the same; infinite if one waits for ever.
    """

    lost: list[int]
    delayed: list[int]
    begins: list[float]
    ends: list[float]


def recoveries(run: Run) -> tuple[Recovery, ...]:
    """One row for each disturbance of the run's experiment, by time.

    A disturbance that comes after the run's last event and answer has nobody to tell of it: its
    times are None.

    Raises:
        ExperimentError: when the experiment's disturbances are not such.
    """
    disturbances = _disturbances(run.experiment)
    if not disturbances:
        return ()
    server, end = run.experiment["server"], _end(run) + EARLY
    came = [disturbance for disturbance in disturbances if disturbance.at <= end]
    windows = _windows(came, int(server["workers"]), int(server["threads"]))
    steps = capacity(run.events, int(server["threads"]))
    traffic = _traffic(run.requests, windows)
    rows = []
    for disturbance in disturbances:
        row = Recovery(disturbance.at, disturbance.kind, words(disturbance), None, None, 0, 0)
        if disturbance.at <= end:
            number = bisect_left(windows, disturbance.at, key=_at)
            restored = _restored(steps, windows[number])
            row = replace(
                row,
                capacity_restored_after_s=restored,
                queue_drained_after_s=_drained(traffic, number, windows[number], restored),
                lost=traffic.lost[number],
                delayed=traffic.delayed[number],
            )
        rows.append(row)
    return tuple(rows)


def combined(replications: Sequence[Sequence[Recovery]]) -> tuple[Recovery, ...]:
    """What repetitions of one experiment say together: medians of times, means of counts.

    A time that a repetition does not know counts as infinite, so the median is None where half
    of them, or more, do not know it.

    Args:
        replications: the rows of each, at least one.
    """
    return tuple(
        replace(
            rows[0],
            capacity_restored_after_s=_median([row.capacity_restored_after_s for row in rows]),
            queue_drained_after_s=_median([row.queue_drained_after_s for row in rows]),
            lost=fmean(row.lost for row in rows),
            delayed=fmean(row.delayed for row in rows),
        )
        for rows in zip(*replications, strict=True)
    )


def _median(times: Sequence[float | None]) -> float | None:
    middle = median(math.inf if time is None else time for time in times)
    return None if math.isinf(middle) else middle


def _disturbances(experiment: dict[str, Any]) -> list[Disturbance]:
    """By time; runs that were saved before there were any have none."""
    tables = experiment.get("disturbance", ())
    found = [
        KINDS[table["kind"]](**{key: value for key, value in table.items() if key != "kind"})
        for table in tables
    ]
    return sorted(found, key=_at)


def _at(timed: Disturbance | _Window) -> float:
    return timed.at


def _windows(disturbances: Sequence[Disturbance], workers: int, threads: int) -> list[_Window]:
    """The windows, by time."""
    windows: list[_Window] = []
    asked = _Asked(workers, 0)
    for disturbance in disturbances:
        asked = _ask(asked, disturbance, workers)
        target = (asked.first + asked.second) * threads
        if windows and windows[-1].at == disturbance.at:
            windows.pop()
        windows.append(_Window(disturbance.at, math.inf, target))
    for number, after in enumerate(windows[1:]):
        windows[number] = windows[number]._replace(end=after.at)
    return windows


class _Asked(NamedTuple):
    """How many workers each of the two masters is to have; the second is 0 before USR2."""

    first: int
    second: int


def _ask(asked: _Asked, disturbance: Disturbance, workers: int) -> _Asked:
    """What is asked of the masters after ``disturbance`` (`Arbiter.handle_ttin` and others)."""
    if not isinstance(disturbance, Signal) or disturbance.to != "master" or not asked.first:
        return asked
    match disturbance.signal:
        case "TTIN":
            return asked._replace(first=asked.first + 1)
        case "TTOU":
            return asked._replace(first=max(1, asked.first - 1))
        case "HUP":  # `reload()` reads the settings again.
            return asked._replace(first=workers)
        case "USR2":
            return asked._replace(second=workers)
        case _:  # They end it.
            return asked._replace(first=0) if asked.second else asked


def _end(run: Run) -> float:
    """The last moment that the run knows of, s."""
    finished = (time for time in run.requests.finished if not math.isnan(time))
    last_event = run.events[-1].time if run.events else -math.inf
    return max(last_event, max(finished, default=-math.inf))


def _restored(steps: Sequence[Step], window: _Window) -> float | None:
    """Time to the last moment in the window at which the capacity was not the target, s."""
    begin = bisect_left(steps, window.at - EARLY, key=_time)
    end = bisect_left(steps, window.end - EARLY, key=_time)
    right = (steps[begin - 1].threads if begin else 0) == window.target
    since = window.at
    for step in steps[begin:end]:
        if step.threads == window.target and not right:
            since = step.time
        right = step.threads == window.target
    return max(0.0, since - window.at) if right else None


def _time(step: Step) -> float:
    return step.time


def _drained(
    traffic: _Traffic, number: int, window: _Window, restored: float | None
) -> float | None:
    """Time to the first moment from ``restored`` on at which no request waits, s."""
    if restored is None:
        return None if traffic.lost[number] or traffic.delayed[number] else 0.0
    moment = window.at + restored
    place = bisect_right(traffic.begins, moment) - 1
    if place >= 0 and traffic.ends[place] > moment:
        moment = traffic.ends[place]
    return None if math.isinf(moment) or moment > window.end else moment - window.at


def _traffic(requests: Requests, windows: Sequence[_Window]) -> _Traffic:
    """One pass over the requests, for all windows."""
    isnan = math.isnan
    begins_of_windows = [window.at for window in windows]
    before: list[float] = []
    waits: list[list[float]] = [[] for _ in windows]
    lost = [0] * len(windows)
    unfinished = 0
    queued: list[tuple[float, float]] = []
    for arrival, started, finished, outcome, io, cpu in zip(
        requests.arrival,
        requests.started,
        requests.finished,
        requests.outcome,
        requests.io,
        requests.cpu,
        strict=True,
    ):
        left = started
        if isnan(started):
            left = finished - io - cpu if outcome == OK else finished
        if isnan(finished):
            # It never ended, and it waits for ever if it did not start.
            left = math.inf if isnan(left) else left
            unfinished += 1
        else:
            number = bisect_right(begins_of_windows, finished) - 1
            if outcome != OK:
                if number >= 0:
                    lost[number] += 1
            elif number >= 0:
                waits[number].append(left - arrival)
            else:
                before.append(left - arrival)
        if left - arrival > UNAVOIDABLE:
            queued.append((arrival + UNAVOIDABLE, left))
    if lost:
        lost[-1] += unfinished
    before.sort()
    usual = quantile(before, USUAL) if before else 0.0
    threshold = max(LEAST_DELAY, usual)
    delayed = [sum(wait > threshold for wait in each) for each in waits]
    return _Traffic(lost, delayed, *_union(queued))


def _union(spans: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Begins and ends of the times that any of the ``spans`` covers."""
    begins: list[float] = []
    ends: list[float] = []
    for begin, end in sorted(spans):
        if ends and begin <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            begins.append(begin)
            ends.append(end)
    return begins, ends
