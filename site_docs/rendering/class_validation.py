"""The validations of worker classes, ``data/validation-CLASS.jsonl``, for a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim.experiment import WorkerClass
from sim.validation.class_grid import CLASSES, class_cells
from site_docs.rendering import numbers, validated
from site_docs.rendering.other_rows import errors, provenance, targets_reached
from site_docs.rendering.validated import FILE, WORDS


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
        "| p95: repeated, median error, worst |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for worker_class in measured():
        found = validated.read(path_of(worker_class))
        cells = (
            f"`{worker_class}`",
            f"{len(found.rows)} of {len(class_cells(worker_class))}",
            targets_reached(found),
            *(errors(found, name) for name in ("latency_mean", "latency_p95")),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


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
