"""One more request: nothing changes before it, and it is run as any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import FREE, troubled

from sim.analysis.visits import end_of
from sim.errors import ExperimentError
from sim.experiment import Experiment, Server, TraceRow, Traffic
from sim.experiment.disturbance import Rate, Signal
from sim.model.simulation import predict
from sim.run import ProcessEvent, Run
from sim.run.one_more_request import with_one_more

EXPERIMENT = Experiment(
    Server(workers=2, threads=2, preload_app=True),
    traffic=Traffic(rate=56.0, duration=6.0),
    disturbances=(Rate(1.0, 20.0), Signal(2.0, "KILL", worker=1)),
)


def test_it_comes_beside_the_others() -> None:
    before, after = predict(EXPERIMENT), predict(with_one_more(EXPERIMENT, 3.0, 0.2, 0.01))
    assert len(after.requests) == len(before.requests) + 1
    added = next(row for row in after.requests if row.arrival == 3.0)
    assert (added.io, added.cpu, added.outcome) == (0.2, 0.01, "ok")


#: s by which sums of the same times in another order may differ.
ROUNDING = 1e-9


def changes(traffic: Traffic, before: Run, after: Run, at: float) -> Iterator[str]:
    """What differs between two runs before ``at`` s, a sentence each.

    A request's row tells of its last attempt that was accepted: that one's accept takes the place
    of the accept and the start of the one before it. So where clients try again, an accept before
    ``at`` may be missing in one of the runs. Then that run has one at ``at`` or later, which is of
    another attempt: it comes no earlier than `retry_delay` after the request. Nothing else may be
    missing: a request comes once, and ends once.
    """
    for event, other in zip_longest(_past(before, at), _past(after, at)):
        if event != other:
            yield f"event {event} is {other}"
    for number, rows in enumerate(zip(before.requests, after.requests, strict=False)):
        old, new = rows
        if old.arrival >= at:
            break
        names = ["arrival", "finished"]
        late = [row for row in rows if row.accepted >= at]
        replaced = len(late) == 1 and any(row.accepted < at for row in rows)
        if not (replaced and traffic.retries):
            names += ["accepted", "started"]
        elif late[0].accepted - old.arrival < traffic.retry_delay - ROUNDING:
            yield f"request {number} was tried again too soon"
        for row in late:
            if row.started < at:
                yield f"request {number} has the start of one attempt and the accept of another"
        for name in names:
            one, other = getattr(old, name), getattr(new, name)
            if one != other and (one < at or other < at):
                yield f"request {number} was {name} at {one}, and is at {other}"


def _past(run: Run, at: float) -> list[ProcessEvent]:
    return [event for event in run.events if event.time < at]


@settings(max_examples=40)
@given(troubled, st.floats(0.0, 3.0))
def test_the_past_is_the_same(experiment: Experiment, at: float) -> None:
    rollout = any(each.kind == "rollout" for each in experiment.disturbances)
    if experiment.traffic.arrivals == "closed" or rollout:
        # What happens in the one moment of a rollout's signal has no order of its own.
        return
    before, after = predict(experiment), predict(with_one_more(experiment, at, 0.05, 0.001))
    # A run without it may be over sooner, and leaves what is due in its last moment. The clock adds
    # up times since the boot: what differs by less than a rounding error is one moment to it.
    at = min(at, end_of(before)) - ROUNDING
    assert [*changes(experiment.traffic, before, after, at)] == []


#: A request that computes for 0.5 s; its client waits for 0.6 s, and tries once more.
RETRIED = Experiment(
    Server(workers=1, threads=4, preload_app=True),
    traffic=Traffic(
        arrivals="trace",
        trace=(TraceRow(0.0, 0.0, 0.5), TraceRow(2.5, 0.0, 0.1)),
        timeout=0.6,
        retries=1,
        retry_delay=0.1,
    ),
    costs=FREE,
)


def test_a_row_tells_of_the_last_attempt() -> None:
    """A request that computes comes at 0.2: the first attempt gets too little of the GIL."""
    before, after = predict(RETRIED), predict(with_one_more(RETRIED, 0.2, 0.0, 0.4))
    assert before.requests[0].outcome == "ok"
    assert before.requests[0].accepted < 0.01
    assert after.requests[0].accepted == pytest.approx(0.7, abs=0.05)
    assert [*changes(RETRIED.traffic, before, after, 0.2)] == []
    # Without a second attempt the first one's times would have been changed.
    said = [*changes(replace(RETRIED.traffic, retries=0), before, after, 0.2)]
    assert len(said) == 2
    assert said[0].startswith("request 0 was accepted at 0.0")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("accepted", 0.05, "request 0 was accepted at"),
        ("accepted", 0.65, "request 0 was tried again too soon"),
        ("started", 0.05, "request 0 has the start of one attempt and the accept of another"),
        ("finished", 0.15, "request 0 was finished at"),
        ("arrival", 0.01, "request 0 was arrival at"),
    ],
)
def test_what_no_attempt_explains_is_said(column: str, value: float, said: str) -> None:
    retried = replace(RETRIED.traffic, retry_delay=0.7)
    before, after = predict(RETRIED), predict(with_one_more(RETRIED, 0.2, 0.0, 0.4))
    getattr(after.requests, column)[0] = value
    faults = [*changes(retried if value == 0.65 else RETRIED.traffic, before, after, 0.2)]
    assert any(fault.startswith(said) for fault in faults), faults


def test_a_second_one_is_one_more() -> None:
    twice = with_one_more(with_one_more(EXPERIMENT, 3.0, 0.2, 0.0), 3.0, 0.1, 0.0)
    added = [row.io_s for row in twice.traffic.trace if row.arrival_s == 3.0]
    assert added == [0.2, 0.1]


def test_a_closed_loop_and_a_bad_value_are_refused() -> None:
    closed = Experiment(traffic=Traffic(arrivals="closed"))
    with pytest.raises(ExperimentError, match="expected an open loop"):
        with_one_more(closed, 1.0, 0.1, 0.0)
    with pytest.raises(ExperimentError, match="io_s"):
        with_one_more(EXPERIMENT, 1.0, -1.0, 0.0)
