"""Parts of every text report: paragraphs, tables and remarks."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sim.experiment.notice import Assumption

#: Columns; longer lines of prose are hard to read on a wide terminal.
PROSE_WIDTH = 100


def print_prose(console: Console, text: str, style: str = "") -> None:
    """Print one paragraph."""
    # Text, not str: what comes from an experiment may hold the brackets of rich's markup.
    console.print(Text(text, style=style), width=min(console.width, PROSE_WIDTH))


def print_table(console: Console, table: Table) -> None:
    """Print ``table`` as wide as it is: a number is never cut, even on a narrow console."""
    wide = console.options.update_width(1000)
    table.width = Measurement.get(console, wide, table).maximum
    console.print(table, crop=False)
    console.print()


def print_assumptions(console: Console, notices: Iterable[str]) -> None:
    """Print the assumptions behind all numbers below; a report begins with them."""
    for notice in notices:
        if isinstance(notice, Assumption):
            print_prose(console, f"Note: {notice}", "bold yellow")
            console.print()


def print_remarks(console: Console, overload: Iterable[str], notices: Iterable[str]) -> None:
    """Print why the server is overloaded, and the notices about the experiment.

    `print_assumptions` has printed the assumptions among the notices.
    """
    for reason in overload:
        console.print()
        print_prose(console, f"Overloaded. {reason}", "bold yellow")
    for notice in notices:
        if not isinstance(notice, Assumption):
            console.print()
            print_prose(console, f"Note: {notice}", "yellow")
