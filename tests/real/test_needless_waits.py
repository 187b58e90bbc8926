"""Requests that wait although a thread is free, as often as predicted."""

from __future__ import annotations

from looks import RUNS, Exhibit, looks_at
from rank_test import Criterion, Statistics

from sim.experiment import Experiment, Server, TraceRow, Traffic
from sim.run import Run

SERVER = Server(workers=2, threads=2, preload_app=True)

#: Requests of a group come 10 ms apart, so that the cores sleep between them, and need a thread
#: each. A group is over long before the next.
GROUPS, PERIOD, GAP, IO = 24, 0.25, 0.01, 0.1
FOURS = Experiment(
    SERVER,
    traffic=Traffic(
        arrivals="trace",
        trace=tuple(
            TraceRow(group * PERIOD + place * GAP, IO, 0.0)
            for group in range(GROUPS)
            for place in range(4)
        ),
    ),
    replications=1,
)

#: Groups more or less that are the model's error: a tenth of them.
MORE_OR_LESS = 0.1 * GROUPS


def needless_waits(run: Run) -> int:
    """Of the groups of four requests to four threads, those in which a request had to wait."""
    started = [
        begin - due for begin, due in zip(run.requests.started, run.requests.arrival, strict=True)
    ]
    return sum(max(started[first : first + 4]) > 0.5 * IO for first in range(0, len(started), 4))


#: With the race for accepts of an Intel Xeon the model has 3 in 30 less, which is within its error,
#: and a rank test judges the rest.
CRITERION: Criterion[Run] = Criterion(
    lambda run: Statistics({"groups with a needless wait": needless_waits(run)}),
    lambda *_: MORE_OR_LESS,
)


def test_four_requests_at_once_do_not_always_find_four_threads() -> None:
    exhibit = Exhibit(RUNS, {"fours": FOURS}, lambda _: lambda _: CRITERION)
    with looks_at(exhibit, at_once=1) as looks:
        assert looks.differs("fours") is None
