"""What bands cover is counted from measured rows, and the page has today's count."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sim.errors import ExperimentError
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.document import to_dict
from sim.validation.rows import read, rows_of
from site_docs.rendering import uncalibrated as page
from site_docs.runs import coverage

FEW = Experiment(
    server=Server(workers=2, threads=2, worker_class="gthread"),
    traffic=Traffic(requests=80),
    replications=1,
)


def test_a_row_is_predicted_without_what_was_learnt_of_its_machine() -> None:
    learnt = replace(FEW, costs=Costs(connect=0.5, request=0.5))
    found = coverage.covered(to_dict(learnt), "a row", "")
    assert found == coverage.covered(to_dict(FEW), "a row", "")
    assert set(found) == set(coverage.FIGURES)
    for figure in found.values():
        assert figure["low"] <= figure["predicted"] <= figure["high"]
    unseen = coverage.covered(to_dict(FEW), "a row", "Intel Xeon")
    assert unseen["latency_mean"]["predicted"] == found["latency_mean"]["predicted"]
    assert unseen["latency_mean"] != found["latency_mean"]


@pytest.mark.parametrize("rows", coverage.ROWS, ids=lambda rows: rows.name)
def test_the_file_has_what_was_measured(rows: coverage.Rows) -> None:
    header, measurements = read(coverage.DATA / rows.file)
    found = next(one for one in coverage.read_file()["rows"] if one["name"] == rows.name)
    assert found["processor"] == header.machine["processor"]
    assert [cell["cell"] for cell in found["cells"]] == [row.cell for row in rows_of(measurements)]
    for cell, row in zip(found["cells"], rows_of(measurements), strict=True):
        for name, figure in cell["figures"].items():
            values = [values[name] for values in row.repeats if values.get(name) is not None]
            assert figure["measured"] == values


ROWS = {
    "cells": [
        {
            "figures": {
                "latency_mean": {"predicted": 1.1, "low": 1, "high": 2, "measured": [1, 0.9, 1.4]},
                "share_worker_1": {"predicted": 0.5, "low": 0.4, "high": 0.5, "measured": [0.7]},
            }
        },
        {
            "figures": {
                "latency_mean": {"predicted": 3.0, "low": 2, "high": 3, "measured": [3.5, 2.5]}
            }
        },
    ]
}


def test_runs_within_a_band_are_counted() -> None:
    assert page.covered(ROWS, "latency_mean") == (3, 5)
    assert page.covered(ROWS, "share_worker_1") == (0, 1)
    assert page.errors(ROWS, "latency_mean") == pytest.approx([0.0, 0.0])
    assert page.errors(ROWS, "share_worker_1") == pytest.approx([0.2])


def test_the_page_says_what_is_covered() -> None:
    assert page.expected() == pytest.approx(9 / 11)
    table = page.table()
    assert all(f"| {rows.name} |" in table for rows in coverage.ROWS)
    assert "%)" in page.total()
    assert page.fewest().endswith("%)")


def test_readme_has_the_count_of_today() -> None:
    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text("utf-8").split())
    inside, runs = page.counted()
    assert f"{inside / runs:.0%}".replace("%", " %") + f" of {runs:,} measured means" in readme
    unseen = coverage.read_file()["rows"][0]
    counts = [page.covered(unseen, name) for name in ("latency_mean", "latency_p95")]
    part = sum(inside for inside, _ in counts) / sum(runs for _, runs in counts)
    assert f"So do {100 * part:.0f} % on an Intel Xeon" in readme


def test_a_file_of_other_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "coverage.json"
    with pytest.raises(ExperimentError, match="cannot be read"):
        coverage.read_file(path)
    document = coverage.read_file()
    coverage.write({**document, "rows": document["rows"][1:]}, path)
    assert json.loads(path.read_text("utf-8"))["schema"] == coverage.SCHEMA
    with pytest.raises(ExperimentError, match="has other rows than"):
        coverage.read_file(path)
