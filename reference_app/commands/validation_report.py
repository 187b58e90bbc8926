"""The text report of a validation: errors, cells that miss or are noisy, and targets."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from sim.reports.prose import print_prose, print_table
from sim.validation.rows import Header
from sim.validation.verdict import QUIET, REPEATABLE, Off, Result, Target, Validation


def print_validation(console: Console, header: Header, result: Validation, cells: int) -> None:
    """Print ``result`` on ``console``.

    Args:
        console: its width, colours and encoding are respected; a pipe gets plain text.
        header: of the rows.
        result: what they come to.
        cells: how many there are in the grid.
    """
    machine = header.machine
    print_prose(console, _headline(result), "bold")
    print_prose(
        console,
        f"{len(result.results)} of {cells} cells, each predicted {header.variants} times and "
        f"measured {result.measurements} with the same requests; {header.begun}, "
        f"{'' if header.predicted is None else f'predicted again {header.predicted}, '}"
        f"{machine['processor']}, {machine['cores']} cores, which server and load generator share, "
        f"{machine['system']}, Python {header.versions['python']}, Gunicorn "
        f"{header.versions['gunicorn']}.",
        "dim",
    )
    console.print()
    print_table(console, _measures_table(result))
    _print_cells(console, "Further off than they may be", _missing(result.results))
    _print_cells(
        console,
        f"Noisy: the server does not repeat mean, p50 and p95 within {REPEATABLE:.0%}",
        (f"cell {r.cell}, {r.name}: {r.spread:.0%}" for r in result.results if r.noisy),
    )
    _print_cells(
        console,
        f"Disturbed: more than {QUIET:g} cores were busy with something else; --disturbed-again "
        "repeats those runs",
        (f"cell {r.cell}, {r.name}: {r.others:.2f} cores" for r in result.results if r.disturbed),
    )
    if result.closer is not None:
        print_prose(
            console,
            f"With several gthread workers, the mean is {result.closer:.1f} times closer than one "
            "ideal shared queue's.",
        )
    print_table(console, _targets_table(result.targets))


def _headline(result: Validation) -> str:
    missed = sum(target.reached is False for target in result.targets)
    known = sum(target.reached is not None for target in result.targets)
    if not known:
        return "Validation: no cell is measured yet."
    if missed:
        return f"Validation: {missed} of {known} targets are missed."
    return f"Validation: all {known} targets that these cells can decide are reached."


def _measures_table(result: Validation) -> Table:
    table = _new_table(
        "figure", "repeated", "median error", "worst", "in cell", "ideal queue's", "noisy", "within"
    )
    for measure in result.measures:
        table.add_row(
            measure.name.removeprefix("latency_"),
            str(measure.repeated),
            _percent(measure.median),
            _percent(measure.worst),
            "-" if measure.worst_cell is None else str(measure.worst_cell),
            _percent(measure.ideal),
            str(measure.noisy),
            str(measure.within_scatter),
        )
    return table


def _targets_table(targets: Iterable[Target]) -> Table:
    verdicts = {True: "reached", False: "missed", None: "no cell tells"}
    styles = {True: "green", False: "bold yellow", None: "dim"}
    table = _new_table("target", "")
    for target in targets:
        table.add_row(target.text, verdicts[target.reached], style=styles[target.reached])
    return table


def _missing(results: Iterable[Result]) -> Iterable[str]:
    for result in results:
        if misses := result.misses:
            yield f"cell {result.cell}, {result.name}: " + "; ".join(map(_miss, misses))


def _miss(off: Off) -> str:
    what = off.name.removeprefix("latency_")
    ranks = f", p-value {off.p_value:.1g}" if off.ranked else ""
    return f"{what} off by {off.error:.0%}, spread {off.spread:.0%}{ranks}"


def _print_cells(console: Console, what: str, lines: Iterable[str]) -> None:
    cells = list(lines)
    if cells:
        print_prose(console, f"{what}:")
        for line in cells:
            print_prose(console, f"  {line}")
        console.print()


def _new_table(first: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
