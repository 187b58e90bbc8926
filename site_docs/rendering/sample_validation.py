"""The validations on other samples of the grids, for a page.

They are ``data/validation-sample-N.jsonl`` and, of a worker class,
``data/validation-CLASS-sample-N.jsonl``. The model was mended for what the first samples had shown,
so only the others are out of sample. Their rows are as they were measured: none is predicted again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sim.errors import ExperimentError
from sim.experiment import WorkerClass
from sim.experiment.release import NEWEST
from sim.validation.class_grid import CLASSES
from sim.validation.release_grid import cells_of
from site_docs.rendering import other_rows, validated
from site_docs.rendering.other_rows import errors, provenance, targets_reached
from site_docs.rendering.validated import FILE, Validated

#: Seeds of the samples that may have been measured.
SEEDS = range(2, 10)


class Sample(NamedTuple):
    """A sample of a grid.

    Attributes:
        seed: from 2.
        worker_class: whose grid it is of; None for that of sync and gthread.
    """

    seed: int
    worker_class: WorkerClass | None = None

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.worker_class or 'sync, gthread'}, {self.seed}"


def path_of(sample: Sample) -> Path:
    """The rows of a sample."""
    of = "" if sample.worker_class is None else f"{sample.worker_class}-"
    return FILE.with_name(f"validation-{of}sample-{sample.seed}.jsonl")


def measured() -> tuple[Sample, ...]:
    """The samples that have rows."""
    every = (Sample(seed, worker_class) for worker_class in (None, *CLASSES) for seed in SEEDS)
    return tuple(sample for sample in every if path_of(sample).exists())


def read(seed: int, worker_class: WorkerClass | None = None) -> Validated:
    """The rows of a sample.

    Raises:
        ExperimentError: when they were predicted again: then they are not out of sample.
    """
    path = path_of(Sample(seed, worker_class))
    rows_file = validated.read(path)
    if rows_file.header.predicted is not None:
        raise ExperimentError(
            f"{path}: predicted again {rows_file.header.predicted}; expected rows that "
            "were predicted before they were measured, and never again"
        )
    return rows_file


def table() -> str:
    """A line for each sample: targets reached, and errors of what the server repeats."""
    lines = [
        "| sample | cells | targets reached | mean: repeated, median error, worst "
        "| p95: repeated, median error, worst |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for sample in measured():
        rows_file = read(*sample)
        planned = cells_of(NEWEST, worker_class=sample.worker_class, sample_seed=sample.seed)
        cells = (
            sample.name,
            f"{len(rows_file.rows)} of {len(planned)}",
            targets_reached(rows_file),
            *(errors(rows_file, name) for name in ("latency_mean", "latency_p95")),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def reached(seed: int, worker_class: WorkerClass | None = None) -> str:
    """How many of the targets a sample reaches, in words."""
    return f"{targets_reached(read(seed, worker_class))} targets"


def cells_that_miss(seed: int, worker_class: WorkerClass | None = None) -> int:
    """How many cells have a figure that is further off than it may be."""
    return sum(bool(result.misses) for result in read(seed, worker_class).validation.results)


def worst_elsewhere(seed: int, name: str) -> float:
    """Worst error of a figure that is repeated, in the cells where nothing is too far off."""
    results = read(seed).validation.results
    of = (result.off(name) for result in results if not result.misses)
    return max(off.error for off in of if off is not None and off.repeated)


def misses() -> str:
    """Every figure that is further off than it may be, as a table."""
    return other_rows.misses(
        "sample",
        ((sample.name, read(*sample)) for sample in measured()),
        "No figure that was judged is further off than it may be.",
    )


def where() -> str:
    """When, where and by which code each sample was predicted and measured, as a list."""
    return "\n".join(_where())


def _where() -> Iterator[str]:
    for sample in measured():
        header = read(*sample).header
        yield f"- **{sample.name}**: {provenance(header)}; [rows](data/{path_of(sample).name})."
