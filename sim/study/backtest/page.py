"""The page of `backtest`: a past as it was predicted, beside the log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sim.reports.html.numbers import number, time
from sim.reports.html.page import (
    Block,
    Cell,
    Curves,
    Figure,
    Key,
    Number,
    Page,
    Rows,
    Section,
    Series,
    Table,
)
from sim.study.backtest.answer import Answer
from sim.study.backtest.figures import PASSED, SERVED, WAIT
from sim.study.backtest.judgement import Beside
from sim.study.backtest.judgement import Figure as Judged
from sim.study.backtest.report import conditions, moment, off_by, sentence, value_text
from sim.study.backtest.served import Interval
from sim.study.formatting import NONE
from sim.study.study_page import PageNotices

#: Routes that have a row.
MOST_ROUTES = 40

#: Colours of both sides, as on the site.
PREDICTED, LOGGED = (
    Key("dot", "predicted", "predicted; eight of ten runs"),
    Key("dot", "measured", "logged"),
)


def backtest_page(answer: Answer, command: str) -> Page:
    """The page of a past.

    Args:
        answer: its prediction, and what is said of it.
        command: that makes the page again.
    """
    judgement, grouped = answer.judgement, PageNotices.of(answer.notices)
    sections = [
        Section("figures", "Predicted beside the log", _figures(judgement.figures)),
        Section("time", "Over time", _over_time(answer)),
    ]
    if judgement.routes:
        sections.append(Section("routes", "By route", (_routes(judgement.routes.items()),)))
    if answer.advice:
        sections.append(Section("help", "What would make it better", (answer.advice,)))
    notices = list(grouped.others)
    if judgement.lost:
        notices.insert(
            0,
            f"A predicted run leaves {judgement.lost:.1f} requests without a response, which have "
            "no time; the log has all that it counts.",
        )
    decided = [figure for figure in judgement.deciding if figure.verdict != "off"]
    return Page(
        title=f"Backtest: Gunicorn {answer.gunicorn}",
        answer=(
            sentence(judgement),
            f"{len(decided)} of {len(judgement.deciding)} figures that decide are not off.",
        ),
        conditions=conditions(answer),
        command=command,
        sections=tuple(sections),
        assumptions=grouped.assumptions,
        notices=tuple(notices),
    )


def _figures(figures: Sequence[Judged]) -> tuple[Block, ...]:
    table = Table(
        "Figures",
        ("", "logged", "predicted", "range", "off by", "own demand", "verdict"),
        tuple(map(_row, figures)),
        text_columns=frozenset({6}),
    )
    about = (
        "range: eight of ten predicted runs. own demand: off by, with the judged requests' own "
        "demand. The error of a share is in points, that of the wait a part of the mean upstream "
        "time."
    )
    times = [each for each in figures if _is_time(each.name) and each.logged is not None]
    return (_chart(times), table, about) if times else (table, about)


def _is_time(name: str) -> bool:
    return name == WAIT or name.startswith((SERVED, PASSED))


def _chart(times: Sequence[Judged]) -> Figure:
    rows = range(len(times))
    known = [(float(row), each) for row, each in zip(rows, times, strict=True)]
    predicted = [(row, each) for row, each in known if each.predicted is not None]
    return Figure(
        "times",
        "Times, predicted and logged",
        " ".join(
            f"{each.name}: predicted {value_text(each.name, each.predicted)}, logged "
            f"{value_text(each.name, each.logged)}."
            for each in times
        ),
        (PREDICTED, LOGGED),
        Rows(
            tuple(each.name for each in times),
            (
                Series(
                    PREDICTED,
                    tuple(1000 * (each.predicted or 0.0) for _, each in predicted),
                    tuple(row for row, _ in predicted),
                    tuple(1000 * _or(each.low, each.predicted) for _, each in predicted),
                    tuple(1000 * _or(each.high, each.predicted) for _, each in predicted),
                ),
                Series(
                    LOGGED,
                    tuple(1000 * (each.logged or 0.0) for _, each in known),
                    tuple(row for row, _ in known),
                ),
            ),
            "ms",
        ),
    )


def _or(value: float | None, otherwise: float | None) -> float:
    return value if value is not None else otherwise or 0.0


def _row(figure: Judged) -> tuple[Cell, ...]:
    name = figure.name

    def cell(value: float | None) -> Number:
        return Number(value, value_text(name, value))

    spread: Cell = NONE
    if figure.low is not None and figure.high is not None:
        spread = (cell(figure.low), " to ", cell(figure.high))
    return (
        name,
        cell(figure.logged),
        cell(figure.predicted),
        spread,
        Number(figure.error, off_by(name, figure.error)),
        Number(figure.own_error, off_by(name, figure.own_error)),
        figure.verdict or NONE,
    )


def _over_time(answer: Answer) -> tuple[Block, ...]:
    intervals = answer.judgement.intervals
    begins = [place * answer.seconds for place in range(len(intervals))]
    table = Table(
        "Over time",
        ("from, UTC", "requests", *_HEADS, "under way", "predicted"),
        tuple(
            (moment(answer.past.begin + begin), *_pairs(each), *_under_way(each))
            for begin, each in zip(begins, intervals, strict=True)
        ),
    )
    series = []
    for key, values in (
        (Key("line", "measured", "logged"), [each.logged.mean for each in intervals]),
        (Key("dashed", "predicted", "predicted"), [each.mean for each in intervals]),
    ):
        known = [
            (begin / 60, 1000 * value)
            for begin, value in zip(begins, values, strict=True)
            if value is not None
        ]
        x, y = zip(*known, strict=True) if known else ((), ())
        series.append(Series(key, tuple(x), tuple(y)))
    if len(intervals) < 2:
        return (table,)
    figure = Figure(
        "over-time",
        "Mean time of the requests of each interval",
        " ".join(
            f"From {moment(answer.past.begin + begin)}: logged {time(each.logged.mean).text}, "
            f"predicted {time(each.mean).text}."
            for begin, each in zip(begins, intervals, strict=True)
        ),
        tuple(each.key for each in series),
        Curves(tuple(series), "minutes since the judged time began", "mean (ms)"),
    )
    return (figure, table)


_HEADS = ("mean", "predicted", "p95", "predicted")


def _pairs(beside: Beside) -> tuple[Cell, ...]:
    return (
        number(beside.logged.requests),
        time(beside.logged.mean),
        time(beside.mean),
        time(beside.logged.p95),
        time(beside.p95),
    )


def _under_way(beside: Beside) -> tuple[Cell, ...]:
    assert isinstance(beside.logged, Interval), "one of time"
    return number(beside.logged.busy, 2), number(beside.busy, 2)


def _routes(routes: Iterable[tuple[str, Beside]]) -> Table:
    rows = tuple((name, *_pairs(beside)) for name, beside in routes)
    more = f", the {MOST_ROUTES} most frequent of {len(rows)}" if len(rows) > MOST_ROUTES else ""
    return Table(f"Routes{more}", ("route", "requests", *_HEADS), rows[:MOST_ROUTES])
