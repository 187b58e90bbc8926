"""How far published figures move with each number that was fitted, as ``sensitivity.json`` has it.

``python -m sim sensitivity --json > site_docs/data/sensitivity.json`` writes the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sim.errors import ExperimentError
from sim.study.fitted import FITTED
from sim.study.sensitivity import NO_MOVE, is_chance
from site_docs.rendering import numbers

FILE = Path(__file__).parents[1] / "data" / "sensitivity.json"


def read(path: Path = FILE) -> dict[str, Any]:
    """The document.

    Raises:
        ExperimentError: when it cannot be read, or is not of the numbers that the model has today.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        numbers = [(number["module"], number["name"]) for number in document["numbers"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExperimentError(
            f"{path}: cannot be read ({error}); expected what python -m sim sensitivity --json says"
        ) from None
    if numbers != [(number.module, number.name) for number in FITTED]:
        raise ExperimentError(
            f"{path}: has other numbers than sim/study/fitted.py; expected those of today: "
            f"python -m sim sensitivity --json > {path}"
        )
    return document


def table() -> str:
    """A row for each fitted number, as Markdown: the largest moves with 20 % less or more of it."""
    return "\n".join(rows(read()))


def rows(document: Mapping[str, Any]) -> list[str]:
    """The lines of that table of a document."""
    experiments = document["experiments"]
    heads = " | ".join(f"{name}: mean, p95, share" for name in experiments)
    lines = [
        f"| number | fitted to | calibrated | {heads} |",
        f"| --- | --- | --- |{' --- |' * len(experiments)}",
    ]
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
