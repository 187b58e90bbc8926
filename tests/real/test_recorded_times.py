"""Recorded demand is what requests took, on real Gunicorn: requests whose times are known."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from recorded_service import ask, recorded, recording

from sim.study.fit.demand import fitted


def test_times_and_routes_are_those_of_the_requests(tmp_path: Path) -> None:
    file = tmp_path / "demand.csv"
    with recording(tmp_path, str(file)) as server:
        ask(server, *(f"/users/{number}?io=0.05" for number in range(20)))
        ask(server, *["/report?cpu=0.03&io=0.02"] * 10)
    rows = recorded(file)
    by_route = {demand.name: demand for demand in fitted(rows).demands}
    assert {name: demand.requests for name, demand in by_route.items()} == {
        "/users/:id": 20,
        "/report": 10,
    }
    assert by_route["/users/:id"].io.distribution.mean == pytest.approx(0.05, abs=0.015)
    assert by_route["/users/:id"].cpu.distribution.mean < 0.005
    # What waits for the GIL does not compute.
    assert by_route["/report"].cpu.distribution.mean == pytest.approx(0.03, abs=0.006)
    assert all(before.arrival_s <= after.arrival_s for before, after in pairwise(rows))
