"""The report of `sweep`: a table with bars, or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.reports.number_text import count
from sim.reports.prose import print_assumptions, print_prose, print_remarks, print_table
from sim.study.formatting import half_width_of, heading, traffic, value_of
from sim.study.observation import DISTURBED, OF_ROUTES, UNITS, estimate, measure_of, routes_in
from sim.study.parameter import formatted
from sim.study.sweep import Row, Sweep

#: Measures that the table has beside the one that the bars show.
MEASURES = ("mean", "p99", "throughput", "busy", "lost")

#: Columns of the longest bar.
BAR = 24


def print_sweep(
    console: Console, sweep: Sweep, rows: Sequence[Row], measure: str, notices: Sequence[str] = ()
) -> None:
    """Print a row for each point, with a bar for ``measure``, and ``notices``."""
    print_assumptions(console, notices)
    print_prose(console, headline(sweep, rows, measure), "bold")
    print_prose(console, conditions(sweep, rows), "dim")
    console.print()
    print_table(console, _table(console, sweep, rows, measure))
    print_remarks(console, (), notices)


def headline(sweep: Sweep, rows: Sequence[Row], measure: str) -> str:
    """What was varied, in a sentence."""
    names = ", ".join(parameter.name for parameter in sweep.parameters)
    text = f"{measure} over {names}: {count(len(rows), 'point')}."
    return text[:1].upper() + text[1:]


def conditions(sweep: Sweep, rows: Sequence[Row]) -> str:
    """The traffic, the host and the number of replications."""
    least = min((len(row.observations) for row in rows), default=0)
    most = max((len(row.observations) for row in rows), default=0)
    each = f"{most}" if least == most else f"{least} to {most}"
    return (
        f"Gunicorn {sweep.base.server.gunicorn}; {traffic(sweep.base)}, except for the "
        f"varied settings; {each} replications, with the same requests at every point."
    )


def measures_of(rows: Sequence[Row], measure: str) -> list[str]:
    """The measures that a table has, ``measure`` among them."""
    disturbed = any(
        observation.gone is not None for row in rows for observation in row.observations
    )
    measures = [*MEASURES, *(DISTURBED if disturbed else ())]
    if measure not in measures:
        measures.insert(0, measure)
    return measures


def _table(console: Console, sweep: Sweep, rows: Sequence[Row], measure: str) -> Table:
    plus_minus = "+/-" if console.options.ascii_only else "±"
    block = "#" if console.options.ascii_only else "█"
    measures = measures_of(rows, measure)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for parameter in sweep.parameters:
        table.add_column(parameter.name, justify="right", no_wrap=True)
    for one in measures:
        table.add_column(heading(one), justify="right", no_wrap=True)
        if one == measure:
            table.add_column(plus_minus, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    estimates = [estimate(row.observations, measure) for row in rows]
    longest = max((each.value for each in estimates if each is not None), default=0.0)
    for row, each in zip(rows, estimates, strict=True):
        cells = [formatted(value) for _, value in row.point]
        for one in measures:
            value = estimate(row.observations, one)
            cells.append(value_of(value, one))
            if one == measure:
                cells.append(half_width_of(value, one))
        bar = "" if each is None or longest <= 0 else block * round(BAR * each.value / longest)
        table.add_row(*map(Text, cells), Text(bar, style="cyan"))
    return table


def csv_of(sweep: Sweep, rows: Sequence[Row]) -> str:
    """A line for each point: its values, the replications, and every measure with its interval.

    Times are in s and shares from 0 to 1; unknown and undefined values are empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [parameter.name for parameter in sweep.parameters]
    known = [observation for row in rows for observation in row.observations]
    measures = [*UNITS, *(measure_of(r, name) for r in routes_in(known) for name in OF_ROUTES)]
    ends = [f"{measure}{end}" for measure in measures for end in ("", "_low", "_high")]
    writer.writerow([*names, "replications", *ends])
    for row in rows:
        cells: list[object] = [value for _, value in row.point]
        cells.append(len(row.observations))
        for measure in measures:
            each = estimate(row.observations, measure)
            cells += ["", "", ""] if each is None else [each.value, each.low, each.high]
        writer.writerow(["" if cell is None else cell for cell in cells])
    return text.getvalue()
