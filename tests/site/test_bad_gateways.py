"""502 of a load balancer by rate and `keepalive`: the file has what the model predicts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean, variance

import pytest

from sim.errors import ExperimentError
from site_docs.rendering import bad_gateways as page
from site_docs.runs import bad_gateways

#: Limits of a chi-square variable with 19 degrees of freedom that chance exceeds once in 1,000
#: cells, at either end (Abramowitz and Stegun, table 26.8).
LEAST, MOST = 5.41, 43.8


@pytest.mark.parametrize("cell", [(0.5, 2), (2.0, 5)], ids=str)
def test_the_file_has_what_is_predicted(cell: tuple[float, int]) -> None:
    stored = {(it.rate, it.keepalive): it.bad_gateways for it in bad_gateways.read_file()}
    assert bad_gateways.bad_gateways(*cell, 0) == stored[cell][0] > 0


def test_runs_are_independent() -> None:
    """The interval takes the sum of all runs for Poisson's, so the runs' counts must be too."""
    for cell in bad_gateways.read_file():
        if (mean := fmean(cell.bad_gateways)) > 1:
            scatter = (len(cell.bad_gateways) - 1) * variance(cell.bad_gateways) / mean
            assert LEAST < scatter < MOST, cell


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.025, 5.572), (10, 4.795, 18.39)]
)
def test_intervals_are_those_of_garwoods_table(count: int, low: float, high: float) -> None:
    assert bad_gateways.poisson_interval(count) == pytest.approx((low, high), rel=1e-3, abs=4e-4)


def test_a_document_is_read_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bad_gateways, "RATES", (0.5,))
    monkeypatch.setattr(bad_gateways, "KEEPALIVES", (2, 75))
    monkeypatch.setattr(bad_gateways, "RUNS", 2)
    monkeypatch.setattr(bad_gateways, "REQUESTS", 6_000)
    path, done = tmp_path / "found.json", list[int]()
    with ThreadPoolExecutor(1) as executor:
        bad_gateways.write(bad_gateways.document(executor, done.append), path)
    assert done == [1, 2, 3, 4]
    raced, longer = bad_gateways.read_file(path)
    assert raced.bad_gateways == tuple(bad_gateways.bad_gateways(0.5, 2, run) for run in (0, 1))
    assert raced.daily == sum(raced.bad_gateways) / 12_000 * 43_200 > 0
    assert longer.bad_gateways == (0, 0)
    monkeypatch.setattr(bad_gateways, "RUNS", 3)
    with pytest.raises(ExperimentError, match="has not 3 runs of 6000 requests; expected"):
        bad_gateways.read_file(path)
    monkeypatch.setattr(bad_gateways, "RATES", (0.5, 1.0))
    with pytest.raises(ExperimentError, match="other rates or keepalives; expected"):
        bad_gateways.read_file(path)


@pytest.mark.parametrize("text", ["", "{}", '{"requests": 1, "cells": [{"rate": 1}]}', "[1]"])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ExperimentError, match=r"found\.json: cannot be read .*; expected what"):
        bad_gateways.read_file(path)


def test_the_table_has_every_cell() -> None:
    head, _, *lines = page.table().splitlines()
    assert [f"`keepalive` {number} s" in head for number in bad_gateways.KEEPALIVES] == [True] * 4
    assert [line.split(" | ")[0] for line in lines] == ["| 0.5", "| 2", "| 5", "| 20", "| 60"]
    first = bad_gateways.read_file()[0]
    low, high = first.interval
    assert lines[0].split(" | ")[1] == f"{first.daily:.1f} ({low:.1f} to {high:.1f})"
    # Where the balancer closes first, no request meets the end of a connection.
    assert all(line.count(" | 0 (up to ") >= 2 for line in lines)
