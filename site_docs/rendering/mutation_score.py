"""The mutation score, from ``data/mutation.json``, for a page.

``python -m tests.mutation --rows ROWS`` tries mutants and writes their rows; with
``--minutes 0 --json`` it prints the file from these rows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "data" / "mutation.json"


def read() -> dict[str, Any]:
    """The document."""
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return document


def tried() -> int:
    """Mutants that count, of all packages."""
    return sum(int(package["tried"]) for package in read()["packages"])


def where() -> str:
    """When, and of which code."""
    document = read()
    return f"{document['date']}, commit `{document['commit']}`, seed {document['seed']}"


def table() -> str:
    """A line for each package: what became of its mutants, and the score with its interval."""
    lines = [
        "| package | mutants | tried | killed | hung | survived | score | 95 % interval |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for it in read()["packages"]:
        share = (it["killed"] + it["hung"]) / it["tried"]
        counts = (f"{it[name]:,}" for name in ("mutants", "tried", "killed", "hung", "survived"))
        lines.append(
            f"| `{it['package']}` | {' | '.join(counts)} | {100 * share:.0f} % "
            f"| {100 * it['low']:.0f} to {100 * it['high']:.0f} % |"
        )
    return "\n".join(lines)
