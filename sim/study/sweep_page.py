"""The page of `sweep`."""

from __future__ import annotations

from collections.abc import Sequence

from sim.reports.html.page import (
    Block,
    Cell,
    Curves,
    Figure,
    Key,
    Page,
    Rows,
    Section,
    Series,
    Table,
)
from sim.study.formatting import NONE, SCALE, half_width_of, heading, value_of
from sim.study.observation import estimate, split_measure, unit_of
from sim.study.parameter import Point, formatted
from sim.study.study_page import PageNotices, dots, interval_cell, value_cell
from sim.study.sweep import Row, Sweep
from sim.study.sweep_report import conditions, headline, measures_of

#: Points that have a row in the chart; the table has all.
MOST_POINTS = 60

#: Measures of which more is better.
MORE = ("throughput", "busy")


def sweep_page(
    sweep: Sweep, rows: Sequence[Row], measure: str, notices: Sequence[str], command: str
) -> Page:
    """The page of a sweep.

    Args:
        sweep: what was asked.
        rows: a point each.
        measure: that the chart shows.
        notices: sentences about the experiment.
        command: that makes the page again.
    """
    grouped = PageNotices.of(notices)
    figure = _figure(sweep, rows, measure)
    blocks: list[Block] = [] if figure is None else [figure]
    blocks.append(_table(sweep, rows, measure))
    return Page(
        title=f"Sweep: {headline(sweep, rows, measure)[:-1]}",
        answer=(headline(sweep, rows, measure), *_best(rows, measure)),
        conditions=conditions(sweep, rows),
        command=command,
        sections=(Section("points", f"{heading(measure)}, at every point", tuple(blocks)),),
        assumptions=grouped.assumptions,
        notices=grouped.others,
    )


def _best(rows: Sequence[Row], measure: str) -> tuple[str, ...]:
    """Where the measure is lowest, in a sentence; of some, more is better, or neither is."""
    if split_measure(measure)[1] in MORE:
        return ()
    known = [
        (value.value, row)
        for row in rows
        if (value := estimate(row.observations, measure)) is not None
    ]
    if len(known) < 2:
        return ()
    least, row = min(known, key=lambda pair: pair[0])
    same = [other for value, other in known if value == least]
    if len(same) > 1:
        return (f"It is lowest at {len(same)} of {len(known)} points.",)
    value = estimate(row.observations, measure)
    unit = heading(measure).rpartition(", ")
    half = half_width_of(value, measure)
    about = "" if half == NONE else f" \N{PLUS-MINUS SIGN} {half}"
    end = f" {unit[2]}" if unit[1] else ""
    return (f"It is lowest at {_name(row.point)}: {value_of(value, measure)}{about}{end}.",)


def _name(point: Point) -> str:
    return ", ".join(f"{name} {formatted(value)}" for name, value in point)


def _figure(sweep: Sweep, rows: Sequence[Row], measure: str) -> Figure | None:
    known = [
        (row, value) for row in rows if (value := estimate(row.observations, measure)) is not None
    ][:MOST_POINTS]
    if not known:
        return None
    key = Key("dot", "predicted", f"{measure}, with its 95 % interval")
    (first, *others) = sweep.parameters
    numeric = all(type(value) in (int, float) for value in first.values)
    drawing: Curves | Rows
    if numeric and not others:
        along = tuple(float(row.point[0][1]) for row, _ in known)
        scale = SCALE[unit_of(measure)]
        values = tuple(scale * value.value for _, value in known)
        points = dots(key, [measure] * len(known), [value for _, value in known])
        line = Key("line", "predicted", "")
        positive = min(values) > 0
        drawing = Curves(
            (
                Series(key, along, values, points.low, points.high),
                Series(line, along, values),
            ),
            first.name,
            heading(measure),
            ticks=tuple((place, f"{place:g}") for place in along) if len(along) <= 12 else (),
            log_y=positive and max(values) > 50 * min(values),
        )
    else:
        drawing = Rows(
            tuple(_name(row.point) for row, _ in known),
            (dots(key, [measure] * len(known), [value for _, value in known]),),
            heading(measure),
        )
    return Figure(
        "points",
        f"{heading(measure)}, predicted for Gunicorn {sweep.base.server.gunicorn}",
        " ".join(f"{_name(row.point)}: {value_of(value, measure)}." for row, value in known),
        (key,),
        drawing,
    )


def _table(sweep: Sweep, rows: Sequence[Row], measure: str) -> Table:
    measures = measures_of(rows, measure)
    head = [parameter.name for parameter in sweep.parameters]
    for one in measures:
        head += [heading(one), "95 % interval"] if one == measure else [heading(one)]

    def cells(row: Row) -> tuple[Cell, ...]:
        columns: list[Cell] = [formatted(value) for _, value in row.point]
        for one in measures:
            value = estimate(row.observations, one)
            columns.append(value_cell(value, one))
            if one == measure:
                columns.append(interval_cell(value, one))
        return tuple(columns)

    return Table("Every point", tuple(head), tuple(map(cells, rows)))
