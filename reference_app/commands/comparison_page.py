"""The page of a comparison: what ``--report`` shows of a prediction beside a measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reference_app.commands.comparison_report import conditions, headline, single_numbers, writing
from sim.analysis.course import course_of
from sim.analysis.summary import summarize
from sim.experiment.notice import Assumption
from sim.reports.html.numbers import UNKNOWN, number
from sim.reports.html.page import (
    Block,
    Cell,
    Figure,
    Key,
    Number,
    Page,
    Part,
    Rows,
    Section,
    Series,
    Table,
)
from sim.reports.html.summary_page import ON_TOP, course_figure
from sim.reports.loss_text import CAUSE_TEXT, NO_DISTURBANCE
from sim.reports.recovery_report import moment
from sim.reports.recovery_report import number as count_of
from sim.reports.timeline import describe
from sim.run import Run
from sim.validation.comparison import Comparison
from sim.validation.comparison import Figure as Compared

#: Latencies that the chart has.
CHARTED = ("mean", "p50", "p90", "p95", "p99")

#: Numbers of a recovery.
COSTS: Mapping[str, str] = {
    "capacity_restored_after_s": "capacity back after, ms",
    "queue_drained_after_s": "queue empty after, ms",
    "lost": "requests lost",
    "delayed": "requests late",
}


def comparison_page(
    comparison: Comparison, sides: Mapping[str, Sequence[Run]], notices: Sequence[str], command: str
) -> Page:
    """The page of a comparison.

    Args:
        comparison: of all variants and repeats.
        sides: the first variant, as ``predicted``, and the first repeat, as ``measured``.
        notices: sentences about the experiment.
        command: that makes the page again.
    """
    judged = [figure.verdict for figure in comparison.figures if figure.verdict is not None]
    off = judged.count("off")
    sections = [
        Section("figures", "Predicted beside measured", _figures(comparison)),
        _courses(sides),
        _recovery(comparison),
    ]
    return Page(
        title=f"Predicted and measured: Gunicorn {comparison.measured_gunicorn or ''}".rstrip(),
        answer=(
            headline(comparison),
            f"{len(judged) - off} of {len(judged)} figures are within 10 % or scatter.",
        ),
        conditions=conditions(comparison),
        command=command,
        sections=tuple(section for section in sections if section is not None),
        assumptions=tuple(each for each in notices if isinstance(each, Assumption)),
        overload=comparison.overload,
        notices=tuple(each for each in notices if not isinstance(each, Assumption)),
    )


def _figures(comparison: Comparison) -> tuple[Block, ...]:
    charted = [
        (measure, figure)
        for measure in CHARTED
        if (figure := comparison.figure(f"latency_{measure}")).measured is not None
    ]
    table = Table(
        "Figures",
        ("", "predicted", "measured", "error", "spread", "ideal", "verdict"),
        tuple(map(_row, comparison.figures)),
        text_columns=frozenset({6}),
    )
    blocks: list[Block] = [table, tuple(single_numbers(comparison))]
    if charted:
        blocks.insert(0, _chart(charted))
    return tuple(blocks)


def _chart(charted: Sequence[tuple[str, Compared]]) -> Figure:
    keys = (
        Key("dot", "predicted", "predicted; 90 % of the server's chances"),
        Key("dot", "measured", "measured"),
        Key("hollow", "ideal", "one ideal shared queue"),
    )

    def series(key: Key, side: str) -> Series:
        known = [
            (place, value, figure)
            for place, (_, figure) in enumerate(charted)
            if (value := getattr(figure, side)) is not None
        ]
        banded = side == "predicted"
        return Series(
            key,
            tuple(1000 * value for _, value, _ in known),
            tuple(float(place) for place, _, _ in known),
            tuple(1000 * (f.predicted_low or v) for _, v, f in known) if banded else (),
            tuple(1000 * (f.predicted_high or v) for _, v, f in known) if banded else (),
        )

    return Figure(
        "latency",
        "Latency, predicted and measured",
        " ".join(
            f"{name}: predicted {_ms(figure.predicted)}, measured {_ms(figure.measured)}."
            for name, figure in charted
        ),
        keys,
        Rows(
            tuple(name for name, _ in charted),
            tuple(
                series(key, side)
                for key, side in zip(keys, ("predicted", "measured", "ideal"), strict=True)
            ),
            "latency (ms)",
        ),
    )


def _ms(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{1000 * seconds:.3g} ms"


def _row(figure: Compared) -> tuple[Cell, ...]:
    name, write = writing(figure, 1)

    def cell(value: float | None) -> Part:
        return UNKNOWN if value is None else Number(value, write(value))

    def apart(value: float | None) -> Part:
        if value is None:
            return UNKNOWN
        unit = "points" if figure.unit == "share" else "%"
        return Number(value, f"{100 * value:.1f} {unit}")

    return (
        name,
        cell(figure.predicted),
        cell(figure.measured),
        apart(figure.error),
        apart(figure.spread),
        cell(figure.ideal),
        figure.verdict or "-",
    )


def _courses(sides: Mapping[str, Sequence[Run]]) -> Section | None:
    """The same requests, as predicted and as measured."""
    figures: list[Block] = []
    for side, runs in sides.items():
        course = course_of(runs[0])
        if course is not None:
            figures += [f"{side.capitalize()}.", course_figure(side, summarize(runs[:1]), course)]
    if not figures:
        return None
    first = f"The first variant and the first repeat, of the same requests. {ON_TOP}"
    return Section("course", "Threads and queues over time", (first, *figures))


def _recovery(comparison: Comparison) -> Section | None:
    blocks: list[Block] = []
    if comparison.recovery:
        rows: list[tuple[Cell, ...]] = []
        for row in comparison.recovery:
            for field, name in COSTS.items():
                scale = 1000 if field.endswith("_s") else 1
                values = [getattr(side, field) for side in (row.predicted, row.measured)]
                cells = (
                    "never" if value is None else Number(value, count_of(round(scale * value, 1)))
                    for value in values
                )
                rows.append((f"At {moment(row.at_s)} s: {row.what}", name, *cells))
        head = ("", "", "predicted", "measured")
        blocks.append(Table("Recovery", head, tuple(rows), text_columns=frozenset({1})))
    if comparison.losses:
        blocks.append(
            Table(
                "What requests were lost to",
                ("because of", "to", "predicted", "measured"),
                tuple(
                    (
                        NO_DISTURBANCE if row.at_s is None else f"{moment(row.at_s)} s: {row.what}",
                        f"{CAUSE_TEXT[row.cause]}, {row.outcome}",
                        number(row.predicted, 1),
                        number(row.measured, 1),
                    )
                    for row in comparison.losses
                ),
                text_columns=frozenset({1}),
            )
        )
    if not blocks:
        return None
    if comparison.timeline:
        blocks.append(
            Table(
                "What happened, in the first variant and the first repeat",
                ("process", "what happens", "predicted, s", "measured, s"),
                tuple(
                    (
                        event.process,
                        describe(event.kind, event.process),
                        number(event.predicted_s, 3),
                        number(event.measured_s, 3),
                    )
                    for event in comparison.timeline
                ),
                text_columns=frozenset({1}),
            )
        )
    return Section("recovery", "What went wrong, and recovery", tuple(blocks))
