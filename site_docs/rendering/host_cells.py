"""The validations of where it runs, ``data/validation-KIND.jsonl``: CPU limit, one core, nginx."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Final, Literal, get_args

from sim.validation import rows as validation_rows
from sim.validation.release_grid import cells_of_rows
from sim.validation.rows import Row, rows_of
from sim.validation.verdict import QUIET
from site_docs.rendering import numbers, other_rows, validated
from site_docs.rendering.other_rows import targets_reached
from site_docs.rendering.validated import FILE, WORDS

Kind = Literal["cpu-limit", "one-core", "nginx"]

#: Figures of the table, and what they are called there.
FIGURES: Final = {"latency_mean": "mean", "latency_p95": "p95"}


def path_of(kind: Kind) -> Path:
    """The rows of a kind."""
    return FILE.with_name(f"validation-{kind}.jsonl")


def measured(kind: Kind) -> bool:
    """Whether there are rows."""
    return path_of(kind).exists()


def files() -> list[Path]:
    """The files of rows that there are."""
    return [path_of(kind) for kind in get_args(Kind) if measured(kind)]


def table(kind: Kind) -> str:
    """A line for each cell that was measured: both sides, and how far they are apart.

    Runs beside which something else kept more than `QUIET` cores busy are marked.
    """
    header, measurements = validation_rows.read(path_of(kind))
    planned = cells_of_rows(header)
    rows = sorted(rows_of(measurements), key=lambda row: row.cell)
    columns = [f"{word} {side}" for word in FIGURES.values() for side in ("predicted", "measured")]
    lines = [
        f"{len(rows)} of {len(planned)} cells have been measured, on {header.machine['processor']} "
        f"with {header.machine['cores']} cores.",
        "",
        f"| cell | runs | {' | '.join(columns)} | apart |",
        f"| --- | ---: |{' ---: |' * (len(columns) + 1)}",
    ]
    return "\n".join([*lines, *map(_line, rows)])


def verdict(kind: Kind) -> str:
    """How many of the validation's targets the rows reach, and what is further off, in words."""
    rows_file = validated.read(path_of(kind))
    missed = [
        f"{WORDS[off.name]} of *{result.name}* ({other_rows.size(result, off)})"
        for result in rows_file.validation.results
        for off in result.misses
    ]
    further = f" Further off than they may be: {'; '.join(missed)}." if missed else ""
    return (
        f"{targets_reached(rows_file)} of the [targets](validation.md#targets) are reached; "
        f"the model was frozen at commit `{rows_file.header.model}` before.{further}"
    )


def _line(row: Row) -> str:
    cells, errors = [], []
    for name in FIGURES:
        predicted = _mean(row.variants, name)
        measured = _mean(row.repeats, name)
        cells += [_ms(predicted), _ms(measured)]
        if predicted is not None and measured:
            errors.append(f"{100 * abs(predicted / measured - 1):.0f} %")
    disturbed = any(each.others > QUIET for each in row.measurements)
    mark = ", disturbed" if disturbed else ""
    return f"| {row.name} | {len(row.repeats)}{mark} | {' | '.join(cells)} | {', '.join(errors)} |"


def _mean(values: list[validation_rows.Values], name: str) -> float | None:
    known = [value for each in values if (value := each[name]) is not None]
    return fmean(known) if known else None


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else numbers.ms(seconds)
