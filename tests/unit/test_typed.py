"""Saved runs and validations are read strictly: a value of another type is refused, not kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.errors import ExperimentError
from sim.run import load
from sim.validation import rows

DATA = Path(__file__).parents[2] / "site_docs" / "data" / "validation.jsonl"

RUN = {
    "schema": "gunicorn-run/1",
    "source": "sim",
    "gunicorn": None,
    "replication": 0,
    "requests": 0,
    "experiment": {},
    "queues": [{"place": "accept queue", "time_average": 1, "largest": 2}],
    "census": [{"worker": 1, "threads": 2, "flag_connections": 0}],
    "memory": {"total": 4, "shared": 1, "master": 1, "worker": 2, "total_at_first": None},
    "cpu_stat": {"nr_periods": 1, "nr_throttled": 1, "throttled_time": 0, "usage": 0.5},
}


def test_a_run_of_whole_numbers_is_read(tmp_path: Path) -> None:
    path = tmp_path / "runs"
    path.write_text(json.dumps(RUN) + "\n", encoding="utf-8")
    [run] = load(path)
    assert run.queues[0].time_average == 1
    assert run.memory is not None
    assert run.memory.total_at_first is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"queues": [5]}, "QueueLength is of int; expected a table"),
        ({"queues": [{"place": 5, "time_average": 1, "largest": 2}]}, "place is of int"),
        ({"queues": [{"place": "a", "time_average": 1, "larges": 2}]}, "larges"),
        ({"census": [{"worker": "1", "threads": 2, "flag_connections": 0}]}, "worker is of str"),
        ({"memory": {"total": [4]}}, "total is of list"),
        ({"cpu_stat": {"nr_periods": None}}, "nr_periods is of NoneType"),
    ],
)
def test_a_run_with_another_type_is_refused(
    changed: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "runs"
    path.write_text(json.dumps({**RUN, **changed}) + "\n", encoding="utf-8")
    with pytest.raises(ExperimentError, match="line 1 is not of a gunicorn-run/1 file") as caught:
        load(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell": [1]}, "cell is of list"),
        ({"values": 5}, "values is of int"),
        ({"values": {"latency_mean": "0.1"}}, "latency_mean is of str; expected a number"),
        ({"variants": [5]}, "a variant is of int; expected a table"),
        ({"ideal": {"latency_mean": []}}, "latency_mean is of list; expected a number"),
    ],
)
def test_a_validation_with_another_type_is_refused(
    changed: dict[str, object], message: str, tmp_path: Path
) -> None:
    with DATA.open(encoding="utf-8") as file:
        header, first = file.readline(), json.loads(file.readline())
    path = tmp_path / "validation"
    path.write_text(f"{header}{json.dumps({**first, **changed})}\n", encoding="utf-8")
    with pytest.raises(ExperimentError, match="line 2 is not of a gunicorn-validation/2") as caught:
        rows.read(path)
    assert message in str(caught.value)
