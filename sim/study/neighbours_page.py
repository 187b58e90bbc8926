"""What would help one server, and by how much: a section of its page."""

from __future__ import annotations

from collections.abc import Sequence

from sim.reports.html.page import Block, Cell, Figure, Key, Rows, Section, Table
from sim.study.compare import Contrast
from sim.study.compare_report import FINDINGS
from sim.study.formatting import half_width_of, heading, number, value_of
from sim.study.neighbours import Neighbour, Neighbours
from sim.study.study_page import dots, interval_cell, value_cell


def neighbours_section(advice: Sequence[Block], neighbours: Neighbours) -> Section:
    """What is known without a prediction, and what neighbours do to the same requests.

    Args:
        advice: see `sim.reports.html.summary_page.help_blocks`.
        neighbours: by `sim.study.neighbours.neighbours`.
    """
    blocks: list[Block] = list(advice)
    if neighbours.changes:
        changes = neighbours.changes
        table = _table(changes, neighbours.replications)
        blocks = [_sentence(changes[0]), _figure(changes), table, *advice]
    return Section("help", "What would help, and by how much", tuple(blocks))


def _sentence(best: Neighbour) -> str:
    mean = best.of("mean")
    if mean.finding != "lower" or mean.a is None or mean.b is None or mean.less is None:
        return "None of these changes makes the mean latency significantly lower."
    before, after, less = (
        number(value, "mean") for value in (mean.a.value, mean.b.value, abs(mean.less.value))
    )
    return (
        f"Of these changes, {best.setting} lowers the mean latency most: from {before} to "
        f"{after} ms, which is {less} \N{PLUS-MINUS SIGN} {half_width_of(mean.less, 'mean')} ms "
        "less on the same requests."
    )


def _figure(changes: Sequence[Neighbour]) -> Figure:
    keys = (
        Key("dot", "predicted", "mean latency, with its 95 % interval"),
        Key("hollow", "predicted", "p99"),
    )
    labels = ("as it is", *(each.setting for each in changes))
    series = []
    for key, measure in zip(keys, ("mean", "p99"), strict=True):
        contrasts = [each.of(measure) for each in changes]
        values = [contrasts[0].a, *(one.b for one in contrasts)]
        series.append(dots(key, [measure] * len(values), values))
    return Figure(
        "neighbours",
        "One setting changed, on the same requests",
        " ".join(
            f"{each.setting}: mean {value_of(each.of('mean').b, 'mean')} ms, p99 "
            f"{value_of(each.of('p99').b, 'p99')} ms."
            for each in changes
        ),
        keys,
        Rows(labels, tuple(series), "latency (ms)"),
    )


def _table(changes: Sequence[Neighbour], replications: int) -> Table:
    first = changes[0]
    rows: list[tuple[Cell, ...]] = [
        ("as it is", *_cells([first.of(measure) for measure in ("mean", "p99", "lost")], now=True))
    ]
    rows += [
        (each.setting, *_cells([each.of(measure) for measure in ("mean", "p99", "lost")]))
        for each in changes
    ]
    head = ["set"]
    for measure in ("mean", "p99"):
        head += [heading(measure), "difference", "95 %"]
    return Table(
        f"One setting changed, the first {replications} replications",
        (*head, heading("lost"), "mean latency"),
        tuple(rows),
        text_columns=frozenset({8}),
        strong=frozenset({0}),
    )


def _cells(contrasts: Sequence[Contrast], *, now: bool = False) -> list[Cell]:
    cells: list[Cell] = []
    for one in contrasts:
        cells.append(value_cell(one.a if now else one.b, one.measure))
        if one.measure != "lost":
            less = None if now else one.less
            cells += [
                "" if less is None else value_cell(less, one.measure),
                "" if less is None else interval_cell(less, one.measure),
            ]
    finding = FINDINGS[contrasts[0].finding].removeprefix("B is ")
    return [*cells, "" if now else finding]
