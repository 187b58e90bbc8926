"""One more request: nothing changes before it, and it is run as any other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import troubled

from sim.analysis.visits import end_of
from sim.errors import ExperimentError
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.disturbance import Rate, Signal
from sim.model.simulation import predict
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


@settings(max_examples=40)
@given(troubled, st.floats(0.0, 3.0))
def test_the_past_is_the_same(experiment: Experiment, at: float) -> None:
    rollout = any(each.kind == "rollout" for each in experiment.disturbances)
    if experiment.traffic.arrivals == "closed" or rollout:
        # What happens in the one moment of a rollout's signal has no order of its own.
        return
    before, after = predict(experiment), predict(with_one_more(experiment, at, 0.05, 0.001))
    # A run without it may be over sooner, and leaves what is due in its last moment.
    at = min(at, end_of(before) - ROUNDING)
    assert [event for event in before.events if event.time < at] == [
        event for event in after.events if event.time < at
    ]
    for old, new in zip(before.requests, after.requests, strict=False):
        if old.arrival >= at:
            break
        for name in ("arrival", "accepted", "started", "finished"):
            one, other = getattr(old, name), getattr(new, name)
            assert one == other or not (one < at or other < at), name


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
