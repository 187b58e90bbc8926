"""A prediction that pauses: the run is the same, and its progress is known meanwhile."""

from __future__ import annotations

from array import array
from dataclasses import fields
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import troubled

from sim.experiment import Experiment, Server, TraceRow, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import PausedPrediction, predict
from sim.run import Run

#: Two threads answer half of what arrives by the last arrival, and the rest after it.
OVERLOADED = Experiment(
    Server(workers=2),
    traffic=Traffic(rate=80.0, duration=10.0, io=Distribution("const", (0.05,)), drain=60.0),
)


def bytes_of(run: Run) -> tuple[object, ...]:
    """All of a run; its columns as bytes, for NaN is not equal to itself."""
    columns = [
        column.tobytes() if isinstance(column, array) else column
        for column in (getattr(run.requests, each.name) for each in fields(run.requests))
    ]
    return columns, run.events, run.queues, run.census, run.memory, run.tally


@settings(max_examples=30)
@given(troubled, st.integers(1, 500))
def test_pauses_change_nothing(experiment: Experiment, calls: int) -> None:
    paused = PausedPrediction(experiment, 1)
    while not paused.advance(calls):
        pass
    assert paused.advance(), "it stays over"
    assert bytes_of(paused.run()) == bytes_of(predict(experiment, 1))


@pytest.mark.parametrize(
    ("experiment", "keep_rows"),
    [
        (OVERLOADED, True),
        (OVERLOADED, False),
        (Experiment(traffic=Traffic(rate=40.0, requests=400)), True),
        (Experiment(traffic=Traffic(rate=40.0, requests=400)), False),
        (Experiment(traffic=Traffic(arrivals="closed", users=4, duration=10.0)), True),
        (Experiment(traffic=Traffic(arrivals="closed", users=4, requests=400)), True),
    ],
    ids=(
        "overloaded",
        "overloaded, tallied",
        "number",
        "number, tallied",
        "closed",
        "closed number",
    ),
)
def test_progress_grows_steadily_from_nothing_to_all(
    experiment: Experiment, keep_rows: bool
) -> None:
    paused = PausedPrediction(experiment, keep_rows=keep_rows)
    parts = [paused.progress()]
    while not paused.advance(50):
        parts.append(paused.progress())
    assert parts[0] == 0.0
    assert parts[-1] == pytest.approx(1.0, abs=0.15 if experiment is not OVERLOADED else 0.05)
    assert len(parts) > 20
    # As even as the work is: calls are work, and no part of them is left to the end.
    middle = parts[len(parts) // 2]
    assert 0.3 < middle < 0.7
    assert min(after - before for before, after in pairwise(parts)) > -0.1


def test_requests_that_all_come_at_once_have_no_progress_to_tell() -> None:
    burst = Traffic(arrivals="trace", trace=(TraceRow(0.0, 0.1, 0.0),) * 3)
    paused = PausedPrediction(Experiment(traffic=burst))
    assert not paused.advance(5)
    assert paused.progress() == 0.0
    while not paused.advance(5):
        pass
    assert [row.outcome for row in paused.run().requests] == ["ok"] * 3
