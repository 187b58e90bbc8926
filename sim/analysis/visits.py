"""Visits: where each request was, from its arrival until it left.

::

    arrival --accept queue--> accepted --worker queue--> started --thread--> left
            `----------------waiting------------------>' where the run does not know `accepted`

In a queueing network, a customer visits one station after the other (Jackson 1957). Read from the
request rows and the process events, so predictions and measurements are read in the same way.

A row knows less than the server does. A request that is retried has the times of its last attempt.
One whose client gave up before the application started has left the picture by then, though its
connection still takes its turn in the queue and on a thread. The SYN of a connection that finds a
full accept queue is dropped; until it is sent again, the request counts as in that queue.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Literal, NamedTuple

from sim.experiment.worker_class import slots
from sim.run import Requests, Run
from sim.run.column import floats, largest
from sim.run.occupation import occupied_until

#: ``waiting``: in the accept queue or in the queue of the worker; the run does not say which.
Place = Literal["accept queue", "worker queue", "waiting", "thread"]

PLACES: tuple[Place, ...] = ("accept queue", "worker queue", "waiting", "thread")

#: s by which the clocks of a measured hang and of the start of its request may differ.
SAME_START = 0.05


class Visit(NamedTuple):
    """One request in one place.

    Attributes:
        request: its row.
        place: one of `PLACES`.
        worker: boot order; 0 in the accept queue.
        thread: of that worker, from 1; 0 where there is none, or none is known.
        begin: s since the start of the run.
        end: when it left the place, s; not before ``begin``.
    """

    request: int
    place: Place
    worker: int
    thread: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How many requests are where at one moment.

    Attributes:
        time: from then on, s.
        accept_queue: requests that no worker is known to have accepted.
        waiting: by worker: accepted, no thread yet.
        busy: by worker: threads that run a request.
    """

    time: float
    accept_queue: int
    waiting: dict[int, int]
    busy: dict[int, int]


def visits(run: Run) -> list[Visit]:
    """Every visit, the requests in order and the visits of each by time.

    A request is in exactly one place from its arrival until it leaves: each visit begins when the
    one before ends, and visits that take no time are left out. A known thread runs one request at a
    time.
    """
    rows = run.requests
    end = end_of(run)
    leaves = _leaves(run, end)
    return [visit for row in range(len(rows)) for visit in _of(rows, row, leaves.get(row), end)]


def end_of(run: Run) -> float:
    """The last moment that the run knows of, s."""
    last = last_of(run.requests)
    return max(0.0, last, max((e.time for e in run.events), default=0.0))


def last_of(rows: Requests) -> float:
    """The last moment that is known of a request, s; minus infinity without requests.

    Not of its outcome always: one without any may have been accepted, and have started, after all
    others.
    """
    columns = (rows.arrival, rows.accepted, rows.started, rows.finished)
    return max(largest(floats(column), -math.inf) for column in columns)


def _of(rows: Requests, row: int, leave: float | None, end: float) -> Iterator[Visit]:
    arrival, accepted, started = rows.arrival[row], rows.accepted[row], rows.started[row]
    worker, thread = rows.worker[row], rows.thread[row]
    ran = worker > 0 and not math.isnan(started)
    over = end if math.isnan(rows.finished[row]) else rows.finished[row]
    now = arrival
    if not math.isnan(accepted):
        yield from _visit(row, "accept queue", 0, 0, now, accepted)
        now = max(now, accepted)
        yield from _visit(row, "worker queue", worker, 0, now, started if ran else over)
    else:
        place: Place = "waiting" if ran else "accept queue"
        yield from _visit(row, place, worker if ran else 0, 0, now, started if ran else over)
    if ran and leave is not None:
        yield from _visit(row, "thread", worker, thread, max(now, started), leave)


def _visit(
    row: int, place: Place, worker: int, thread: int, begin: float, end: float
) -> Iterator[Visit]:
    if end > begin:
        yield Visit(row, place, worker, thread, begin, end)


def _leaves(run: Run, end: float) -> dict[int, float]:
    """When each request that ran left its thread, s.

    Not after the next one on that thread has started: the client knows an answer a little later
    than the thread has sent it. Not after the end of the worker either.
    """
    rows = run.requests
    ends = {event.process: event.time for event in run.events if event.kind == "exit"}
    over = hangs(run)
    leaves: dict[int, float] = {}
    last: dict[tuple[int, int], int] = {}
    for row in _by_start(rows):
        started, worker, thread = rows.started[row], rows.worker[row], rows.thread[row]
        demand = rows.io[row] + rows.cpu[row]
        until = occupied_until(started, rows.finished[row], rows.outcome[row], demand, end)
        until = max(until, over.get(row, until))
        leaves[row] = max(started, min(until, ends.get(f"worker {worker}", until)))
        if thread:
            before = last.get((worker, thread))
            if before is not None:
                leaves[before] = min(leaves[before], started)
            last[worker, thread] = row
    return leaves


def _by_start(rows: Requests) -> list[int]:
    ran = (
        row for row in range(len(rows)) if rows.worker[row] and not math.isnan(rows.started[row])
    )
    return sorted(ran, key=rows.started.__getitem__)


def hangs(run: Run) -> dict[int, float]:
    """Until when each request that hung did so, s, by row: its client may have given up before."""
    if not any(event.kind == "hang" for event in run.events):
        return {}
    rows, end = run.requests, end_of(run)
    started: defaultdict[str, list[int]] = defaultdict(list)
    for row in _by_start(rows):
        started[f"worker {rows.worker[row]}"].append(row)
    over: dict[int, float] = {}
    hanging: defaultdict[str, list[int]] = defaultdict(list)
    for time, kind, process in run.events:
        if kind == "hang":
            nearest = _nearest(rows, started[process], time)
            if nearest is not None:
                started[process].remove(nearest)
                over[nearest] = end
                hanging[process].append(nearest)
        elif kind == "hang over" and hanging[process]:
            over[hanging[process].pop(0)] = time
    return over


def _nearest(rows: Requests, candidates: Sequence[int], time: float) -> int | None:
    """The row that started at that time; None where none did."""
    row = min(candidates, key=lambda each: abs(rows.started[each] - time), default=None)
    if row is None or abs(rows.started[row] - time) > SAME_START:
        return None
    return row


def occupancies(visits: Sequence[Visit]) -> Iterator[Occupancy]:
    """How many are where, whenever that changes: leaving comes before arriving at one time."""
    changes = merge(
        sorted((visit.end, -1, visit.place, visit.worker) for visit in visits),
        sorted((visit.begin, 1, visit.place, visit.worker) for visit in visits),
        key=lambda change: (change[0], change[1]),
    )
    accept = 0
    waiting: defaultdict[int, int] = defaultdict(int)
    busy: defaultdict[int, int] = defaultdict(int)
    time: float | None = None
    for at, by, place, worker in changes:
        if time is not None and at > time:
            yield Occupancy(time, accept, _positive(waiting), _positive(busy))
        time = at
        if place == "thread":
            busy[worker] += by
        elif place == "accept queue":
            accept += by
        else:
            waiting[worker] += by
    if time is not None:
        yield Occupancy(time, accept, _positive(waiting), _positive(busy))


def _positive(counts: dict[int, int]) -> dict[int, int]:
    return {worker: number for worker, number in sorted(counts.items()) if number}


def waits_beside_idle(run: Run) -> float:
    """The share of the time in which a request waits while a thread of the server is idle.

    One shared queue makes it 0, but for the moments that a hand-over takes. The time is that from
    the first arrival to the last one; threads are those that the server starts with.
    """
    server = run.experiment["server"]
    threads = int(server["workers"]) * slots(server)
    rows = run.requests
    if len(rows) < 2 or max(rows.arrival) <= min(rows.arrival):
        return 0.0
    first, last = min(rows.arrival), max(rows.arrival)
    total, since, wasted = 0.0, first, False
    for state in occupancies(visits(run)):
        now = min(max(state.time, first), last)
        total += now - since if wasted else 0.0
        since = now
        waiting = state.accept_queue + sum(state.waiting.values())
        wasted = waiting > 0 and sum(state.busy.values()) < threads
    return total / (last - first)


def behind_busy(run: Run) -> float:
    """The share of requests that a busy worker took while another worker had an idle thread.

    Of all requests that a worker ran. What counts is the moment of the arrival: all threads of the
    worker that took the request were busy then, and not all threads of the server. Threads are
    those that the server starts with.
    """
    server = run.experiment["server"]
    each = slots(server)
    threads = int(server["workers"]) * each
    rows = run.requests
    taken = sorted(
        (arrival, worker)
        for arrival, worker in zip(rows.arrival, rows.worker, strict=True)
        if worker
    )
    states = iter(occupancies([visit for visit in visits(run) if visit.place == "thread"]))
    busy: dict[int, int] = {}
    coming = next(states, None)
    behind = 0
    for arrival, worker in taken:
        # Its own start, at the same moment, is not what it found.
        while coming is not None and coming.time < arrival:
            busy, coming = coming.busy, next(states, None)
        behind += busy.get(worker, 0) >= each and sum(busy.values()) < threads
    return behind / len(taken) if taken else 0.0
