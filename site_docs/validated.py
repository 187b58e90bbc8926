"""The validation, ``data/validation.jsonl``, as `reference_app validate` wrote it, for a page."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sim import validation_rows
from sim.validation import TARGETED, Off, Validation, validation
from sim.validation_rows import Header
from site_docs import numbers

FILE = Path(__file__).parent / "data" / "validation.jsonl"


def exists() -> bool:
    """Whether anybody has run it."""
    return FILE.exists()


@cache
def read(path: Path = FILE) -> tuple[Header, Validation]:
    """What was measured where and when, and what it says.

    Raises:
        ExperimentError: when the file cannot be read.
    """
    header, rows = validation_rows.read(path)
    return header, validation(rows)


def where(path: Path = FILE) -> str:
    """Where and when it was measured, in words."""
    header, found = read(path)
    machine = header.machine
    return (
        f"{len(found.results)} cells, each measured {header.repeats} times and predicted "
        f"{header.variants} times, begun {header.begun[:10]}, {machine.get('processor')}, "
        f"{machine.get('cores')} cores"
    )


def targets(path: Path = FILE) -> str:
    """What the model must reach, as a list."""
    told = {True: "reached", False: "**missed**", None: "no cell tells"}
    return "\n".join(
        f"- {target.words}: {told[target.reached]}" for target in read(path)[1].targets
    )


def measures(path: Path = FILE) -> str:
    """Errors over all cells, as a table."""
    lines = [
        "| figure | the server repeats it in | median error | worst | worst cell "
        "| ideal queue, median error | it does not repeat it in | of which within its spread |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in read(path)[1].measures:
        cells = (
            each.name.replace("_", " "),
            f"{each.repeated} cells",
            numbers.percent(each.median),
            numbers.percent(each.worst),
            str(each.worst_cell or ""),
            numbers.percent(each.ideal) if each.ideal is not None else "",
            f"{each.noisy} cells",
            str(each.within_spread),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cells(path: Path = FILE) -> str:
    """Every cell, as a table."""
    lines = [
        "| cell | | mean, predicted | measured | off by | p95, predicted | measured | off by "
        "| repeats differ by | ideal queue is off by | shares off by |",
        "| ---: | --- |" + " ---: |" * 9,
    ]
    for result in read(path)[1].results:
        row = [str(result.cell), result.name]
        for name in ("latency_mean", "latency_p95"):
            figure = result.figure(name)
            row += (
                ["", "", ""]
                if figure is None
                else [
                    numbers.ms(figure.predicted),
                    numbers.ms(figure.measured),
                    numbers.signed_percent(figure.error),
                ]
            )
        mean = result.off(TARGETED[0])
        row += [
            numbers.percent(result.spread),
            "" if mean is None or mean.ideal is None else numbers.percent(mean.ideal),
            _error(result.share),
        ]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def _error(off: Off | None) -> str:
    return "" if off is None else numbers.percent(off.error)
