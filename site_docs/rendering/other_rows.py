"""What pages say of any file of rows: its errors, where they are too large, and its provenance."""

from __future__ import annotations

from collections.abc import Iterable

from sim.validation.rows import Header
from sim.validation.verdict import Off, Result
from site_docs.rendering import numbers, validated
from site_docs.rendering.validated import WORDS, Validated


def targets_reached(rows_file: Validated) -> str:
    """How many of the targets that a cell decides are reached."""
    hit, decided = rows_file.reached
    return f"{hit} of {decided}"


def errors(rows_file: Validated, name: str) -> str:
    """In how many cells the server repeats a figure; its median error there, and the worst."""
    measure = rows_file.measure(name)
    if measure.median is None or measure.worst is None:
        return "0"
    median, worst = (numbers.percent(value) for value in (measure.median, measure.worst))
    return f"{measure.repeated}, {median}, {worst}"


def scatter(rows_file: Validated, names: Iterable[str]) -> str:
    """How many figures the server does not repeat, and how many of them the rank test accepts."""
    measures = [rows_file.measure(name) for name in names]
    return f"{sum(m.noisy for m in measures)}, {sum(m.within_scatter for m in measures)}"


def misses(column: str, of: Iterable[tuple[str, Validated]], none: str) -> str:
    """Every figure that is further off than it may be, as a table.

    Args:
        column: head of the first column.
        of: what that column says of each file of rows, and the file.
        none: what is said where there is no such figure.
    """
    lines = [
        f"| {name} | {result.cell}: {result.name} | {WORDS[off.name]} | {size(result, off)} "
        f"| {validated.allowed(off)} |"
        for name, rows_file in of
        for result in rows_file.validation.results
        for off in result.misses
    ]
    head = [f"| {column} | cell | figure | off by | may be |", "| --- | --- | --- | ---: | ---: |"]
    return "\n".join([*head, *lines]) if lines else none


def size(result: Result, off: Off) -> str:
    """How far off a figure is: in points of a share, else as a part of what was measured."""
    figure = result.figure(off.name)
    if figure is None or figure.error is None:
        return f"{100 * off.error:.0f} points"
    return numbers.signed_percent(figure.error)


def provenance(header: Header) -> str:
    """When, where, how often and by which code the rows were predicted and measured."""
    machine = header.machine
    again = "" if header.predicted is None else f"; predicted again {header.predicted[:10]}"
    return (
        f"{header.begun[:10]}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['system']}; each measured {header.repeats} times and predicted "
        f"{header.variants} times for each, by commit `{header.model}`{again}"
    )
