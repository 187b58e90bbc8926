"""Quantiles of streams: the error that `sim.run.sketch` states."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim.analysis.quantile import quantile
from sim.run.column import floats
from sim.run.sketch import NOTHING, RELATIVE_ERROR, QuantileSketch

PROBABILITIES = (0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0)

times = st.one_of(st.just(0.0), st.floats(NOTHING, 1e8), st.floats(0.001, 0.002))


def sketch_of(values: list[float], block: int = 7) -> QuantileSketch:
    sketch = QuantileSketch()
    for place in range(0, len(values), block):
        sketch.add(floats(array("d", values[place : place + block])))
    return sketch


@settings(max_examples=300, derandomize=True)
@given(st.lists(times, min_size=1, max_size=200))
@example([0.0])
@example([1.0, 1e8])
def test_a_quantile_is_within_the_stated_error(values: list[float]) -> None:
    sketched = sketch_of(values).quantiles(PROBABILITIES)
    exact = [quantile(sorted(values), probability) for probability in PROBABILITIES]
    assert sketched == pytest.approx(exact, rel=1.0001 * RELATIVE_ERROR, abs=NOTHING)


def test_count_total_and_largest_are_exact() -> None:
    sketch = sketch_of([0.3, 0.0, 0.1])
    assert (sketch.count, sketch.total, sketch.largest) == (3, 0.4, 0.3)


@given(st.lists(times, min_size=1, max_size=200))
def test_blocks_of_any_length_count_the_same(values: list[float]) -> None:
    one, all_at_once = sketch_of(values, block=1), sketch_of(values, block=len(values))
    assert (one.count, one.total, one.largest) == (
        all_at_once.count,
        all_at_once.total,
        all_at_once.largest,
    )
    assert one.quantiles(PROBABILITIES) == all_at_once.quantiles(PROBABILITIES)


def test_a_time_below_nothing_is_nothing() -> None:
    # Differences of floats may be.
    assert sketch_of([-1e-17, 2.0]).quantiles((0.0,)) == (0.0,)


def test_without_times_there_are_no_quantiles() -> None:
    with pytest.raises(ValueError, match="no times"):
        QuantileSketch().quantiles((0.5,))
