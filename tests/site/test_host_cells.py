"""The tables of cells with a CPU limit, on one core and behind nginx, as soon as there are rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sim.experiment import Host
from sim.experiment.document import to_dict
from sim.experiment.release import NEWEST
from sim.validation import rows as validation_rows
from sim.validation.limited_grid import limited
from sim.validation.proxy_grid import proxied
from sim.validation.rows import Header, Measurement
from site_docs.rendering import host_cells


def measurement(number: int, seconds: float, others: float) -> Measurement:
    cell = limited()[number - 1]
    values: dict[str, float | None] = {"latency_mean": seconds, "latency_p95": 2 * seconds}
    return Measurement(
        cell=number,
        name=cell.name,
        measured="2026-11-29T10:00:00+00:00",
        experiment=to_dict(cell.experiment(Host(), number)),
        values=values,
        outcomes={"ok": 50},
        others=others,
        variants=[{"latency_mean": 0.1, "latency_p95": 0.25}],
        ideal=values,
    )


HEADER = Header(
    begun="2026-11-29T10:00:00+00:00",
    machine={"cores": 2, "somaxconn": 4096, "processor": "a processor", "system": "Linux"},
    versions={"gunicorn": NEWEST, "cgroup": "1"},
    repeats=2,
    variants=1,
    model=None,
)


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "validation.jsonl"
    monkeypatch.setattr(host_cells, "FILE", path)
    return path.with_name("validation-cpu-limit.jsonl")


def test_without_rows_there_is_nothing_to_show(rows: Path) -> None:
    assert not rows.exists()
    assert not host_cells.measured("cpu-limit")
    assert host_cells.files() == []


def test_each_cell_has_a_line_with_both_sides(rows: Path) -> None:
    measured = [measurement(2, 0.1, 0.9), measurement(1, 0.12, 0.0), measurement(1, 0.08, 0.01)]
    validation_rows.write(rows, HEADER, measured)
    assert host_cells.files() == [rows]
    first, _, _, _, *lines = host_cells.table("cpu-limit").splitlines()
    assert first == "2 of 16 cells have been measured, on a processor with 2 cores."
    names = [cell.name for cell in limited()]
    assert lines == [
        f"| {names[0]} | 2 | 100 ms | 100 ms | 250 ms | 200 ms | 0 %, 25 % |",
        f"| {names[1]} | 1, disturbed | 100 ms | 100 ms | 250 ms | 200 ms | 0 %, 25 % |",
    ]


def test_the_verdict_names_what_is_further_off_than_it_may_be(rows: Path) -> None:
    header = replace(HEADER, model="0123abc")
    validation_rows.write(rows, header, [measurement(1, 0.2, 0.0), measurement(1, 0.2, 0.0)])
    said = host_cells.verdict("cpu-limit")
    assert "at commit `0123abc` before. Further off than they may be: mean of *" in said
    assert "(-50.0 %)" in said


def test_rows_behind_nginx_are_those_of_its_grid(rows: Path) -> None:
    path = rows.with_name("validation-nginx.jsonl")
    cell = proxied()[0]
    measured = Measurement(
        cell=1,
        name=cell.name,
        measured="2026-11-29T10:00:00+00:00",
        experiment=to_dict(cell.experiment(Host(), 1)),
        values={"latency_mean": 0.05, "latency_p95": 0.1},
        outcomes={"ok": 50},
        others=0.0,
        variants=[{"latency_mean": 0.04, "latency_p95": 0.1}],
        ideal={"latency_mean": 0.05, "latency_p95": 0.1},
    )
    header = replace(HEADER, versions={"gunicorn": NEWEST, "nginx": "1.22.1"}, repeats=1)
    validation_rows.write(path, header, [measured])
    assert host_cells.files() == [path]
    first, _, _, _, line = host_cells.table("nginx").splitlines()
    assert first.startswith("1 of 10 cells have been measured")
    assert line == f"| {cell.name} | 1 | 40 ms | 50 ms | 100 ms | 100 ms | 20 %, 0 % |"
