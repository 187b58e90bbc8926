"""How far published figures move with each number that was fitted, as ``sensitivity.json`` has it.

``python -m sim sensitivity --json > site_docs/data/sensitivity.json`` writes the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sim.study.fitted import FITTED
from sim.study.sensitivity import NO_MOVE, is_chance
from site_docs.rendering import numbers
from site_docs.runs import predicted_file

FILE = Path(__file__).parents[1] / "data" / "sensitivity.json"


def read(path: Path = FILE) -> dict[str, Any]:
    """The document.

    Raises:
        ExperimentError: when it cannot be read, or is not of the numbers that the model has today.
    """
    return predicted_file.read(
        path,
        lambda document: [(number["module"], number["name"]) for number in document["numbers"]],
        [(number.module, number.name) for number in FITTED],
        others="numbers than sim/study/fitted.py",
        again=f"python -m sim sensitivity --json > {path}",
    )


def heads(columns: Sequence[str], experiments: Iterable[str]) -> list[str]:
    """The first two lines of a table of moves: columns of its own, and one of each experiment."""
    names = [*columns, *(f"{name}: mean, p95, share" for name in experiments)]
    return [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]


def table() -> str:
    """A row for each fitted number, as Markdown: the largest moves with 20 % less or more of it."""
    return "\n".join(rows(read()))


def rows(document: Mapping[str, Any]) -> list[str]:
    """The lines of that table of a document."""
    lines = heads(("number", "fitted to", "calibrated"), document["experiments"])
    for number in document["numbers"]:
        cells = " | ".join(largest(moves) for moves in number["moves"].values())
        lines.append(
            f"| `{number['name']}` ({number['topic']}) | {number['source']} ({number['machine']}) "
            f"| {'yes' if number['calibrated'] else 'no'} | {cells} |"
        )
    return lines


def variants() -> int:
    """Predictions that each figure of the table is the mean of."""
    return int(read()["variants"])


def requests() -> int:
    """Requests of each of them."""
    return int(read()["requests"])


def largest(moves: list[Mapping[str, Any]]) -> str:
    """The larger move of each figure that is not chance, if any; "none": the number is not used."""
    if all(move == NO_MOVE for move in moves):
        return "none"
    return ", ".join(
        _part(max(moves, key=partial(_weight, key)), key) for key in ("mean", "p95", "share")
    )


def _weight(key: str, move: Mapping[str, Any]) -> tuple[bool, float]:
    """Orders moves: what may be chance first, then by size."""
    return not is_chance(move, key), abs(move[key])


def _part(move: Mapping[str, Any], key: str) -> str:
    """The size of one move; in brackets if it may be chance."""
    size = abs(move[key])
    text = f"{100 * size:.1f} points" if key == "share" else numbers.percent(size)
    return f"({text})" if is_chance(move, key) else text
