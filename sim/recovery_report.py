"""What disturbances cost, as text for people: a table of several, and a sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.prose import print_prose, print_table
from sim.recovery import Recovery

#: More are in the table only.
MOST_SENTENCES = 6

#: s that are none to people.
TOO_SHORT = 0.0005

#: Columns of the table's words; longer ones are wrapped.
WHAT_WIDTH = 32


def print_recoveries(console: Console, rows: Sequence[Recovery], replications: int) -> None:
    """Print what each disturbance cost; nothing without any."""
    if not rows:
        return
    console.print()
    if len(rows) > 1:
        print_table(console, _table(rows))
    if len(rows) <= MOST_SENTENCES:
        for row in rows:
            print_prose(console, sentence(row))
    if replications > 1:
        medians = f"Times are medians and counts are means over {replications:,} replications."
        print_prose(console, medians, "dim")


def sentence(row: Recovery) -> str:
    """What one disturbance cost."""
    return f"At {moment(row.at_s)} s: {row.what}. {_capacity(row)}; {_requests(row)}."


def moment(at: float) -> str:
    """When a disturbance comes, s, without the unit."""
    return f"{at:,.1f}" if round(at, 1) == at else f"{at:,.3f}"


def seconds(time: float | None) -> str:
    """A time of a recovery, s, without the unit."""
    if time is None:
        return "never"
    return f"{time:,.3f}" if TOO_SHORT <= time < 0.0995 else f"{time:,.2f}"


def number(requests: float) -> str:
    """A count, or the mean of several."""
    return f"{requests:,.0f}" if requests == int(requests) else f"{requests:,.1f}"


def _capacity(row: Recovery) -> str:
    restored, drained = row.capacity_restored_after_s, row.queue_drained_after_s
    if restored is None:
        return "Capacity was never back in this run"
    slow = restored >= TOO_SHORT
    back = f"was back after {seconds(restored)} s" if slow else "was complete at once"
    if drained is None:
        queue = "but the queue was never empty again"
    elif drained - restored >= TOO_SHORT:
        queue = f"the queue {'' if slow else 'was '}empty after {seconds(drained)} s"
    else:
        queue = "with nobody waiting"
    return f"Capacity {back}, {queue}"


def _requests(row: Recovery) -> str:
    late = f"{number(row.delayed)} late" if row.delayed else "none late"
    if not row.lost:
        return f"no request was lost, {late}"
    were = "request was" if row.lost == 1 else "requests were"
    return f"{number(row.lost)} {were} lost, {late}"


def _table(rows: Sequence[Recovery]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("at, s", justify="right", no_wrap=True)
    table.add_column("what", max_width=WHAT_WIDTH)
    for column in ("back, s", "empty, s", "lost", "late"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            moment(row.at_s),
            Text(row.what),
            seconds(row.capacity_restored_after_s),
            seconds(row.queue_drained_after_s),
            number(row.lost),
            number(row.delayed),
        )
    return table
