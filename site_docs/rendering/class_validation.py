"""The validations of worker classes, ``data/validation-CLASS.jsonl``, for a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim.experiment import WorkerClass
from sim.validation.class_grid import CLASSES, class_cells
from sim.validation.verdict import TARGETED, Off, Result
from site_docs.rendering import numbers, validated
from site_docs.rendering.other_rows import errors, provenance, scatter, targets_reached
from site_docs.rendering.validated import FILE, WORDS, Validated


def path_of(worker_class: WorkerClass) -> Path:
    """The rows of a worker class."""
    return FILE.with_name(f"validation-{worker_class}.jsonl")


def measured() -> tuple[WorkerClass, ...]:
    """The classes that have rows."""
    return tuple(each for each in CLASSES if path_of(each).exists())


def table() -> str:
    """A line for each class: targets reached, and errors of what the server repeats."""
    lines = [
        "| class | cells | targets reached | mean: repeated, median error, worst "
        "| p95: repeated, median error, worst | share: repeated, worst "
        "| latencies not repeated, of which within the predicted scatter | shares |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for worker_class in measured():
        rows_file = validated.read(path_of(worker_class))
        cells = (
            f"`{worker_class}`",
            f"{len(rows_file.rows)} of {len(class_cells(worker_class))}",
            targets_reached(rows_file),
            *(errors(rows_file, name) for name in ("latency_mean", "latency_p95")),
            _shares(rows_file),
            scatter(rows_file, TARGETED),
            scatter(rows_file, ("share",)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shares(rows_file: Validated) -> str:
    measure = rows_file.measure("share")
    if measure.worst is None:
        return "0"
    return f"{measure.repeated}, {100 * measure.worst:.0f} points"


def misses(worker_class: WorkerClass) -> list[tuple[Result, Off]]:
    """Every figure of a class's cells that is further off than it may be."""
    return validated.missed(path_of(worker_class))


def worst_share() -> float:
    """The largest error of a worker's share in all cells of all classes, as a part."""
    off_by = (off.error for each in measured() for _, off in misses(each) if off.name == "share")
    return max(off_by, default=0.0)


def cells(worker_class: WorkerClass) -> str:
    """A line for each cell of a class: both sides of its mean and p95, and what it misses."""
    lines = [
        "| cell | mean, predicted | measured | p95, predicted | measured | repeats differ by | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for _, result in validated.read(path_of(worker_class)).cells:
        sides = []
        for name in ("latency_mean", "latency_p95"):
            figure = result.figure(name)
            known = (None, None) if figure is None else (figure.predicted, figure.measured)
            sides += ["" if value is None else numbers.ms(value) for value in known]
        missed = ", ".join(
            f"{WORDS[off.name]} off by {numbers.percent(off.error)}" for off in result.misses
        )
        remark = missed or ("noisy" if result.noisy else "met")
        spread = numbers.percent(result.spread)
        lines.append(
            f"| {result.cell}: {result.name} | {' | '.join(sides)} | {spread} | {remark} |"
        )
    return "\n".join(lines)


def where() -> str:
    """When, where and by which code each class was predicted and measured, as a list."""
    return "\n".join(_where())


def _where() -> Iterator[str]:
    for worker_class in measured():
        header = validated.read(path_of(worker_class)).header
        packages = ", ".join(
            f"{package} {header.versions[package]}"
            for package in ("gevent", "starlette", "uvicorn", "uvicorn-worker")
            if package in header.versions
        )
        yield (
            f"- **{worker_class}**: {packages}; {provenance(header)}; "
            f"[rows](data/{path_of(worker_class).name})."
        )
