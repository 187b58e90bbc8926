"""How often a measurement lies within the band of a prediction that knows nothing of its machine.

Each cell of the published validations is predicted as somebody would who never ran `calibrate`: one
replication of the same requests, default costs, and the band of ``python -m sim``. Of the Intel
Xeon the band is made a second time, from ranges without its own calibrations: as if nobody had ever
seen such a machine.

``python -m site_docs coverage`` writes ``data/coverage.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sim.analysis.sample import sample_of
from sim.analysis.summary import summary_of
from sim.experiment.cost_ranges import RANGES, without
from sim.model.simulation import predict
from sim.reading.experiment_file import from_dict
from sim.study.machine_band import MACHINES, machine_band
from sim.validation.rows import Row, read, rows_of
from sim.whole_file import whole_file
from site_docs.runs import predicted_file

DATA: Final = Path(__file__).parents[1] / "data"
FILE: Final = DATA / "coverage.json"

SCHEMA: Final = "gunicorn-coverage/1"

#: Figures that are looked at, as validations name them.
FIGURES: Final = ("latency_mean", "latency_p95", "share_worker_1")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one validation, and which machines their band is drawn from.

    Attributes:
        name: for a page.
        file: in `DATA`.
        unseen: processor whose calibrations are left out; empty for none.
    """

    name: str
    file: str
    unseen: str = ""


ROWS: Final = (
    Rows("Intel Xeon, as if none had been calibrated", "validation-xeon.jsonl", "Intel Xeon"),
    Rows("Intel Xeon", "validation-xeon.jsonl"),
    Rows("AMD EPYC", "validation.jsonl"),
    Rows("20.1.0", "validation-20.1.0.jsonl"),
    Rows("23.0.0", "validation-23.0.0.jsonl"),
    Rows("24.1.1", "validation-24.1.1.jsonl"),
    Rows("25.3.0", "validation-25.3.0.jsonl"),
    Rows("26.2.0", "validation-26.2.0.jsonl"),
    Rows("gevent", "validation-gevent.jsonl"),
    Rows("asgi", "validation-asgi.jsonl"),
    Rows("uvicorn", "validation-uvicorn.jsonl"),
    Rows("nginx", "validation-nginx.jsonl"),
    Rows("CPU limit", "validation-cpu-limit.jsonl"),
    Rows("one core", "validation-one-core.jsonl"),
)


def covered(experiment: Mapping[str, Any], where: str, unseen: str) -> dict[str, Any]:
    """The figures of a row's experiment with default costs, and their band.

    Args:
        experiment: as a row has it, with what was learnt of its machine, which is left out.
        where: for a message, if it cannot be read.
        unseen: as in `Rows`.
    """
    unlearnt = {key: value for key, value in experiment.items() if key not in ("costs", "memory")}
    uncalibrated = replace(from_dict(unlearnt, where), replications=1)
    run = predict(uncalibrated, 0)
    samples = [sample_of(run)]
    summary = summary_of(run, samples)
    ranges = without(unseen) if unseen else RANGES
    band = machine_band(uncalibrated, summary, samples, MACHINES, ranges=ranges)
    assert band is not None, "a number of machines was given"
    assert summary.latency is not None, "cells of the grids answer requests"
    figures: dict[str, Any] = {
        f"latency_{measure}": {
            "predicted": getattr(summary.latency, measure).value,
            **band.latency[measure]._asdict(),
        }
        for measure in ("mean", "p95")
    }
    first = summary.workers[0].share
    if len(band.shares) > 1 and first is not None:
        figures["share_worker_1"] = {"predicted": first.value, **band.shares[1]._asdict()}
    return figures


def coverage(executor: Executor, done: Callable[[int], None]) -> dict[str, Any]:
    """All rows with their bands, as a document."""
    cells = [(rows, row) for rows in ROWS for row in rows_of(read(DATA / rows.file)[1])]
    futures = [
        executor.submit(covered, row.measurements[0].experiment, rows.file, rows.unseen)
        for rows, row in cells
    ]
    cells_by_rows: dict[str, list[dict[str, Any]]] = {rows.name: [] for rows in ROWS}
    for number, ((rows, row), future) in enumerate(zip(cells, futures, strict=True), start=1):
        cells_by_rows[rows.name].append(
            {"cell": row.cell, "name": row.name, "figures": dict(_figures(row, future.result()))}
        )
        done(number)
    return {
        "schema": SCHEMA,
        "machines": MACHINES,
        "rows": [
            {
                "name": rows.name,
                "file": rows.file,
                "processor": read(DATA / rows.file)[0].machine["processor"],
                "unseen": rows.unseen,
                "cells": cells_by_rows[rows.name],
            }
            for rows in ROWS
        ],
    }


def _figures(row: Row, predicted: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each figure's prediction and band, and what each run measured of it."""
    for name, figure in predicted.items():
        measured = [value for values in row.repeats if (value := values.get(name)) is not None]
        if measured:
            yield name, {**figure, "measured": measured}


def write(document: Mapping[str, Any], path: Path = FILE) -> None:
    """Write the file.

    Raises:
        ExperimentError: when it cannot be written.
    """
    with whole_file(path) as file:
        file.write(json.dumps(document, indent=1) + "\n")


def read_file(path: Path = FILE) -> dict[str, Any]:
    """The document.

    Raises:
        ExperimentError: when it cannot be read, or is not of the rows that there are today.
    """
    return predicted_file.read(
        path,
        lambda document: [rows["name"] for rows in document["rows"]],
        [rows.name for rows in ROWS],
        others="rows than site_docs/runs/coverage.py",
        again="python -m site_docs coverage",
    )
