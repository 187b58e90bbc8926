"""How far published figures move with each number that was fitted, as ``sensitivity.json`` has it.

``python -m sim sensitivity --json > site_docs/data/sensitivity.json`` writes the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sim.errors import ExperimentError
from sim.study.fitted import FITTED
from site_docs.rendering import numbers

FILE = Path(__file__).parents[1] / "data" / "sensitivity.json"


def read(path: Path = FILE) -> dict[str, Any]:
    """The document.

    Raises:
        ExperimentError: when it cannot be read, or is not of the numbers that the model has today.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        there = [(number["module"], number["name"]) for number in document["numbers"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExperimentError(
            f"{path}: cannot be read ({error}); expected what python -m sim sensitivity --json says"
        ) from None
    if there != [(number.module, number.name) for number in FITTED]:
        raise ExperimentError(
            f"{path}: has other numbers than sim/study/fitted.py; expected those of today: "
            f"python -m sim sensitivity --json > {path}"
        )
    return document


def table() -> str:
    """A row for each fitted number, as Markdown: the largest moves with 20 % less or more of it."""
    document = read()
    experiments = document["experiments"]
    heads = " | ".join(f"{name}: mean, p95, share" for name in experiments)
    lines = [
        f"| number | fitted to | calibrated | {heads} |",
        f"| --- | --- | --- |{' --- |' * len(experiments)}",
    ]
    for number in document["numbers"]:
        cells = " | ".join(_largest(moves) for moves in number["moves"].values())
        lines.append(
            f"| `{number['name']}` ({number['topic']}) | {number['source']} ({number['machine']}) "
            f"| {'yes' if number['calibrated'] else 'no'} | {cells} |"
        )
    chances = " | ".join(_one(experiment["chance"]) for experiment in experiments.values())
    lines.append(f"| by chance, up to | | | {chances} |")
    return "\n".join(lines)


def _largest(moves: list[Mapping[str, float]]) -> str:
    return _one({key: max(abs(move[key]) for move in moves) for key in ("mean", "p95", "share")})


def _one(move: Mapping[str, float]) -> str:
    if not any(move.values()):
        return "none"
    points = f"{100 * move['share']:.1f} points"
    return f"{numbers.percent(move['mean'])}, {numbers.percent(move['p95'])}, {points}"
