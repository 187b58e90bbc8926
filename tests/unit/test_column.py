"""Columns of numbers: what is read from them, and rows that are filled in and become requests."""

from __future__ import annotations

import math
from array import array
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim.run import OK, UNFINISHED, column
from sim.run.column import floats, integers, largest, occurrences, smallest, total, zeros
from sim.run.requests import NO_ROUTE
from sim.run.rows import Rows

NAN = math.nan


@pytest.mark.parametrize(
    "values", [[NAN, 2.0, 1.0], [2.0, NAN, 1.0], [2.0, 1.0, NAN], [NAN, 2.0, NAN, 1.0]]
)
def test_what_is_not_known_is_left_out_wherever_it_stands(values: list[float]) -> None:
    values_column = floats(array("d", values))
    assert (smallest(values_column, 7.0), largest(values_column, 7.0)) == (1.0, 2.0)


@pytest.mark.parametrize("values", [[], [NAN]])
def test_nothing_known_has_neither(values: list[float]) -> None:
    values_column = floats(array("d", values))
    assert (smallest(values_column, 7.0), largest(values_column, -7.0)) == (7.0, -7.0)


def test_occurrences_are_counted_from_0() -> None:
    assert occurrences(integers(array("i", [3, 1, 0, 3]))) == [1, 1, 0, 2]
    assert occurrences(integers(array("i"))) == [0]


@given(st.lists(st.floats(-1e9, 1e9) | st.floats(-1.0, 1.0) | st.sampled_from((1e16, -1e16, 1.0))))
@example([1.0, 1e-16, 1e-16])
@example([1.0, 2.0**-53])  # half-way between two floats
@example([1e308, 1e308, -1e308])
def test_a_total_is_rounded_once(values: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Interpreted, it is `math.fsum`.
        patch.setattr(column, "COMPILED", True)
        try:
            found = total(array("d", values))  # type: ignore[arg-type]
        except OverflowError:
            with pytest.raises(OverflowError):
                math.fsum(values)
        else:
            assert found == math.fsum(values)


def test_a_total_of_many_is_found_without_fsum(monkeypatch: pytest.MonkeyPatch) -> None:
    values = array("d", map(Random(1).expovariate, [1.0] * 20_000))
    monkeypatch.setattr(column, "COMPILED", True)
    monkeypatch.setattr(column, "fsum", None)
    assert total(values) == math.fsum(values)  # type: ignore[arg-type]


def test_rows_become_the_requests_that_were_written() -> None:
    rows = Rows(zeros(0), zeros(0), zeros(0), ("/a",))
    assert (rows.append(1.0, 0.1, 0.2, 0), rows.append(2.0, 0.3, 0.4)) == (0, 1)
    rows.accepted[0], rows.started[0], rows.finished[0] = 1.1, 1.2, 1.5
    rows.worker[0], rows.thread[0], rows.outcome[0] = 2, 3, OK
    one, other = rows.requests()
    assert one == (1.0, 1.1, 1.2, 1.5, 2, 3, "ok", 0.1, 0.2, "/a")
    assert (other.arrival, other.outcome, other.io, other.cpu) == (2.0, "unfinished", 0.3, 0.4)
    assert math.isnan(other.finished)
    assert list(rows.route) == [0, NO_ROUTE]


def test_a_renewed_row_has_nothing_of_the_request_before() -> None:
    rows = Rows(zeros(0), zeros(0), zeros(0))
    rows.append(1.0, 0.1, 0.2)
    rows.accepted[0], rows.started[0], rows.finished[0] = 1.1, 1.2, 1.5
    rows.worker[0], rows.thread[0], rows.outcome[0] = 2, 3, OK
    rows.renew(0, 3.0, 0.5, 0.6)
    assert len(rows) == 1
    [request] = rows.requests()
    assert rows.outcome[0] == UNFINISHED
    assert (request.arrival, request.worker, request.thread) == (3.0, 0, 0)
    assert (request.io, request.cpu) == (0.5, 0.6)
    assert all(map(math.isnan, (request.accepted, request.started, request.finished)))
