"""The text report of a comparison: one sentence, then its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.experiment.worker_class import TRAITS
from sim.reports.loss_text import CAUSE_TEXT, NO_DISTURBANCE
from sim.reports.number_text import count, ms
from sim.reports.prose import print_assumptions, print_prose, print_remarks, print_table
from sim.reports.recovery_report import moment, number
from sim.reports.report import MOST_WORKERS
from sim.reports.timeline import describe
from sim.validation.comparison import Comparison, Figure, Verdict
from sim.validation.side_by_side import PairedEvent, PairedLoss, PairedRecovery

_STYLES: Mapping[Verdict | None, str] = {
    "within 5 %": "green",
    "within 10 %": "green",
    "within scatter": "",
    "off": "bold yellow",
    None: "dim",
}

#: Columns of text.
_TEXTS = ("verdict", "process", "what happens")

#: Labels of the numbers of a `sim.validation.side_by_side.Cost`.
_COSTS: Mapping[str, str] = {
    "capacity_restored_after_s": "capacity back after",
    "queue_drained_after_s": "queue empty after",
    "lost": "requests lost",
    "delayed": "requests late",
}


def print_comparison(
    console: Console,
    comparison: Comparison,
    notices: Sequence[str] = (),
    *,
    timeline: bool = False,
) -> None:
    """Print ``comparison`` on ``console``.

    Args:
        console: its width, colours and encoding are respected; a pipe gets plain text.
        comparison: what to print.
        notices: sentences about the experiment, printed at the end; assumptions come first.
        timeline: whether to print the timelines even of an experiment in which nothing goes wrong.
    """
    print_assumptions(console, notices)
    print_prose(console, headline(comparison), "bold")
    print_prose(console, conditions(comparison), "dim")
    console.print()
    shares = [figure for figure in comparison.figures if figure.unit == "share"]
    print_table(console, _figures_table(f for f in comparison.figures if f.unit != "share"))
    print_table(console, _shares_table(shares))
    for line in single_numbers(comparison):
        print_prose(console, line)
    if comparison.losses:
        console.print()
        print_table(console, _losses_table(comparison.losses))
    if comparison.recovery or timeline:
        console.print()
        if comparison.recovery:
            print_table(console, _recovery_table(comparison.recovery))
        print_table(console, _timeline_table(comparison.timeline))
    print_remarks(console, comparison.overload, notices)


def headline(comparison: Comparison) -> str:
    """How far apart the means are, in a sentence."""
    mean = comparison.figure("latency_mean")
    if mean.predicted is None or mean.measured is None:
        sides = [_cell(value, ms, "no answer") for value in (mean.predicted, mean.measured)]
        return f"Predicted {sides[0]}, measured {sides[1]} on average: nothing to compare."
    text = f"Predicted {ms(mean.predicted)}, measured {ms(mean.measured)} on average"
    if mean.error is not None:
        text += f": {_percent(abs(mean.error))} apart"
    if mean.spread is not None:
        text += f"; the server repeats itself within {_percent(mean.spread)}"
    if mean.ideal is not None:
        text += f"; the ideal queue says {ms(mean.ideal)}"
    return f"{text}."


def conditions(comparison: Comparison) -> str:
    """The server, and how often its requests were predicted and measured."""
    server = comparison.experiment["server"]
    requests = sum(comparison.measured_outcomes.values())
    closed = comparison.experiment["traffic"]["arrivals"] == "closed"
    whose = "the same users, about" if closed else "the same"
    loop = TRAITS[server["worker_class"]].event_loop
    threads = "" if loop else f" x {count(server['threads'], 'thread')}"
    return (
        f"{_releases(comparison)}{server['worker_class']}, {count(server['workers'], 'worker')}"
        f"{threads}; {whose} {requests:,.0f} requests predicted in "
        f"{count(comparison.variants, 'variant')} and measured "
        f"{count(comparison.repeats, 'time')}."
    )


def _releases(comparison: Comparison) -> str:
    predicted, measured = comparison.predicted_gunicorn, comparison.measured_gunicorn
    if predicted is None or measured is None:
        return ""
    return f"Gunicorn {predicted} predicted, {measured} measured; "


def _figures_table(figures: Iterable[Figure]) -> Table:
    table = _new_table("", "predicted", "measured", "error", "spread", "ideal", "verdict")
    known = list(figures)
    longest = max((f.measured or 0.0 for f in known if f.unit == "s"), default=0.0)
    # The same number of decimals for all times, to compare rows and columns.
    decimals = 2 if longest < 0.1 else 1 if longest < 10 else 0
    for _, section in groupby(known, key=_section):
        for figure in section:
            name, write = writing(figure, decimals)
            table.add_row(
                name,
                _cell(figure.predicted, write),
                _cell(figure.measured, write),
                _cell(figure.error, _signed),
                _cell(figure.spread, _percent),
                _cell(figure.ideal, write),
                Text(figure.verdict or "-", style=_STYLES[figure.verdict]),
            )
        table.add_section()
    return table


def _shares_table(figures: Sequence[Figure]) -> Table:
    """Share of the requests of each worker, %; errors and spreads in percentage points."""
    table = _new_table("share of requests", "predicted", "measured", "error", "spread", "verdict")
    busiest = sorted(figures, key=_measured, reverse=True)[:MOST_WORKERS]
    for figure in figures:
        if figure in busiest:
            table.add_row(
                f"worker {figure.name.rpartition('_')[2]}",
                _cell(figure.predicted, _percent_1),
                _cell(figure.measured, _percent_1),
                _cell(figure.error, _points),
                _cell(figure.spread, _points_unsigned),
                Text(figure.verdict or "-", style=_STYLES[figure.verdict]),
            )
    if len(figures) > len(busiest):
        table.add_row(f"{len(figures) - len(busiest)} more", "", "", "", "", "")
    return table


def _recovery_table(rows: Iterable[PairedRecovery]) -> Table:
    """The cost of each disturbance, over all variants and all repeats."""
    table = _new_table("", "predicted", "measured", "difference")
    for row in rows:
        table.add_row(Text(f"At {moment(row.at_s)} s: {row.what}"), style="bold")
        for field, name in _COSTS.items():
            predicted, measured, apart = (
                getattr(side, field) for side in (row.predicted, row.measured, row.difference)
            )
            write, unit = (_whole_ms, ", ms") if field.endswith("_s") else (number, "")
            signed = _signed_ms if field.endswith("_s") else _signed_number
            table.add_row(
                f"  {name}{unit}",
                _cell(predicted, write, "never"),
                _cell(measured, write, "never"),
                _cell(apart, signed),
            )
        table.add_section()
    return table


def _losses_table(rows: Iterable[PairedLoss]) -> Table:
    """Causes of lost requests, by the disturbance that is to blame."""
    table = _new_table("requests lost to", "predicted", "measured")
    for (at, what), group in groupby(rows, key=_blame):
        blame = NO_DISTURBANCE if at is None else f"At {moment(at)} s: {what}"
        table.add_row(Text(blame[:1].upper() + blame[1:]), style="bold")
        for row in group:
            text = f"  {CAUSE_TEXT[row.cause]}, {row.outcome}"
            table.add_row(text, number(row.predicted), number(row.measured))
        table.add_section()
    return table


def _blame(row: PairedLoss) -> tuple[float | None, str | None]:
    return row.at_s, row.what


def _timeline_table(events: Iterable[PairedEvent]) -> Table:
    """The process events of the first variant beside those of the first repeat."""
    table = _new_table("predicted, s", "measured, s", "apart, ms", "process", "what happens")
    for event in events:
        table.add_row(
            _cell(event.predicted_s, _second),
            _cell(event.measured_s, _second),
            _cell(event.difference_s, _signed_ms),
            Text(event.process),
            Text(describe(event.kind, event.process)),
        )
    table.columns[0].justify = "right"
    return table


def _new_table(first: str, *columns: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,  # Or it would not fit on 80 columns.
        header_style="bold",
    )
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="left" if column in _TEXTS else "right", no_wrap=True)
    return table


def single_numbers(comparison: Comparison) -> list[str]:
    """What is said in a line each."""
    lines = []
    mean = comparison.figure("latency_mean")
    if mean.predicted_low is not None and mean.predicted_high is not None:
        lines.append(
            "The server's own chances move the predicted mean latency between "
            f"{ms(mean.predicted_low)} and {ms(mean.predicted_high)} (90 % of the variants)."
        )
    sides = (comparison.predicted_outcomes, comparison.measured_outcomes)
    predicted, measured = (
        ", ".join(f"{number(requests)} {outcome}" for outcome, requests in side.items() if requests)
        or "no request"
        for side in sides
    )
    if predicted == measured:
        lines.append(f"Outcomes: {measured}, predicted and measured.")
    else:
        lines.append(f"Outcomes: {predicted} predicted; {measured} measured.")
    if comparison.repeats == 1:
        lines.append("Measured once, so that the server's own spread is not known; see --repeat.")
    return lines


def _section(figure: Figure) -> str:
    route = figure.name.rpartition(" ")[0]
    if route or figure.unit != "s":
        return route
    return figure.name.partition("_")[0]


def writing(figure: Figure, decimals: int) -> tuple[str, Callable[[float], str]]:
    """The name of a figure's row, with the unit, and how its numbers are written."""
    route, blank, name = figure.name.rpartition(" ")
    name = route + blank + name.replace("_", " ")
    match figure.unit:
        case "s":
            return f"{name}, ms", lambda value: f"{1000 * value:,.{decimals}f}"
        case "1/s":
            return f"{name}, /s", lambda value: f"{value:,.1f}"
        case _:
            return name, _percent_1


def _cell(value: float | None, write: Callable[[float], str], unknown: str = "-") -> str:
    return unknown if value is None else write(value)


def _measured(figure: Figure) -> float:
    return figure.measured or 0.0


def _whole_ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f}"


def _signed_ms(seconds: float) -> str:
    return f"{round(1000 * seconds):+,}"


def _signed_number(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{number(abs(value))}"


def _second(time: float) -> str:
    return f"{time:,.3f}"


def _percent(value: float) -> str:
    """Two digits below 10 %: the verdicts turn at 5 and 10."""
    return f"{100 * value:.{1 if abs(value) < 0.0995 else 0}f} %"


def _percent_1(value: float) -> str:
    return f"{100 * value:.1f} %"


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else ''}{_percent(value)}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _points_unsigned(value: float) -> str:
    return f"{100 * value:.1f}"
