"""The validations on other samples of the grid, ``data/validation-sample-N.jsonl``, for a page.

The model was mended for what the first sample had shown, so only the others are out of sample.
Their rows are as they were measured: none is predicted again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim.errors import ExperimentError
from sim.validation.grid import sample
from site_docs.rendering import other_rows, validated
from site_docs.rendering.other_rows import errors, provenance, targets_reached
from site_docs.rendering.validated import FILE, Validated

#: Seeds of the samples that may have been measured.
SEEDS = range(2, 10)


def path_of(seed: int) -> Path:
    """The rows of a sample."""
    return FILE.with_name(f"validation-sample-{seed}.jsonl")


def measured() -> tuple[int, ...]:
    """The seeds of the samples that have rows."""
    return tuple(seed for seed in SEEDS if path_of(seed).exists())


def read(seed: int) -> Validated:
    """The rows of a sample.

    Raises:
        ExperimentError: when they were predicted again: then they are not out of sample.
    """
    rows_file = validated.read(path_of(seed))
    if rows_file.header.predicted is not None:
        raise ExperimentError(
            f"{path_of(seed)}: predicted again {rows_file.header.predicted}; expected rows that "
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
    for seed in measured():
        rows_file = read(seed)
        cells = (
            str(seed),
            f"{len(rows_file.rows)} of {len(sample(seed))}",
            targets_reached(rows_file),
            *(errors(rows_file, name) for name in ("latency_mean", "latency_p95")),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def reached(seed: int) -> str:
    """How many of the targets a sample reaches, in words."""
    return f"{targets_reached(read(seed))} targets"


def cells_that_miss(seed: int) -> int:
    """How many cells have a figure that is further off than it may be."""
    return sum(bool(result.misses) for result in read(seed).validation.results)


def worst_elsewhere(seed: int, name: str) -> float:
    """Worst error of a figure that is repeated, in the cells where nothing is too far off."""
    results = read(seed).validation.results
    of = (result.off(name) for result in results if not result.misses)
    return max(off.error for off in of if off is not None and off.repeated)


def misses() -> str:
    """Every figure that is further off than it may be, as a table."""
    return other_rows.misses(
        "sample",
        ((str(seed), read(seed)) for seed in measured()),
        "No figure that was judged is further off than it may be.",
    )


def where() -> str:
    """When, where and by which code each sample was predicted and measured, as a list."""
    return "\n".join(_where())


def _where() -> Iterator[str]:
    for seed in measured():
        yield f"- **{seed}**: {provenance(read(seed).header)}; [rows](data/{path_of(seed).name})."
