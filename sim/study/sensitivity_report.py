"""The table that ``python -m sim sensitivity`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def print_sensitivities(console: Console, document: Mapping[str, Any]) -> None:
    """Print a row for each fitted number, with the moves of each experiment."""
    low, high = document["factors"]
    table = Table(title=f"Moves of mean, p95 and share of worker 1 at {low} and {high} of a number")
    table.add_column("number")
    for name in document["experiments"]:
        table.add_column(name)
    for number in document["numbers"]:
        cells = [moves_of(moves) for moves in number["moves"].values()]
        table.add_row(f"{number['name']} ({number['topic']})", *cells)
    chances = [one(experiment["chance"]) for experiment in document["experiments"].values()]
    table.add_row("by chance, up to", *chances, style="dim")
    console.print(table)


def moves_of(moves: list[Mapping[str, float]]) -> str:
    """The moves of one experiment with one number, one line a factor; empty where nothing moves."""
    if not any(value for move in moves for value in move.values()):
        return "-"
    return "\n".join(map(one, moves))


def one(move: Mapping[str, float]) -> str:
    """One move: mean and p95 in percent, the share in points."""
    return f"{move['mean']:+.1%}, {move['p95']:+.1%}, {100 * move['share']:+.1f} pt"
