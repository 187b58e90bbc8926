"""The table that ``python -m sim sensitivity`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from sim.study.sensitivity import NO_MOVE, is_chance


def print_sensitivities(console: Console, document: Mapping[str, Any]) -> None:
    """Print a row for each fitted number, with the moves of each experiment."""
    low, high = document["factors"]
    table = _table(document, "number", f"{low} and {high} of a number")
    for number in document["numbers"]:
        cells = [moves_of(moves) for moves in number["moves"].values()]
        table.add_row(f"{number['name']} ({number['topic']})", *cells)
    console.print(table)


def _table(document: Mapping[str, Any], changed: str, ends: str, more: str = "") -> Table:
    """An empty table of moves, a column an experiment, with how they are to be read."""
    table = Table(
        title=f"Moves of mean, p95 and share of worker 1 at {ends}",
        caption=f"In brackets: within {document['standard_errors']:g} standard errors, so it may "
        f"be chance. - : does not use the {changed}. {document['variants']} predictions of "
        f"{document['requests']:,} requests each.{more}",
    )
    table.add_column(changed)
    for name in document["experiments"]:
        table.add_column(name)
    return table


def moves_of(moves: list[Mapping[str, Any]]) -> str:
    """The moves of one experiment with one number, one line a factor; empty where nothing moves."""
    if all(move == NO_MOVE for move in moves):
        return "-"
    return "\n".join(map(one, moves))


def one(move: Mapping[str, Any]) -> str:
    """One move: mean and p95 in percent, the share in points; in brackets if it may be chance."""
    parts = {
        "mean": f"{move['mean']:+.1%}",
        "p95": f"{move['p95']:+.1%}",
        "share": f"{100 * move['share']:+.1f} pt",
    }
    return ", ".join(f"({text})" if is_chance(move, key) else text for key, text in parts.items())


def print_machines(console: Console, document: Mapping[str, Any]) -> None:
    """Print a row for each range of costs with its moves, and one of the drawn machines."""
    drawn = document["machines"]
    table = _table(
        document,
        "cost",
        "the lowest and the highest that was seen of a cost",
        f" Last, mean, p95 and share of eight in ten of {drawn['number']} machines whose costs "
        "were drawn from all ranges.",
    )
    for row in document["ranges"]:
        low, high = row["ends"]
        cells = [moves_of(moves) for moves in row["moves"].values()]
        table.add_row(f"{row['name']} {low:g} to {high:g}", *cells)
    table.add_row("drawn machines", *(_between(each) for each in drawn["experiments"].values()))
    console.print(table)


def _between(spread: Mapping[str, Sequence[float]]) -> str:
    """Mean and p95 in ms, the share in points."""
    lines = [
        f"{1000 * spread[key][0]:.0f} to {1000 * spread[key][1]:.0f} ms" for key in ("mean", "p95")
    ]
    low, high = spread["share"]
    return "\n".join((*lines, f"{low:.2f} to {high:.2f}"))
