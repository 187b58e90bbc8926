"""Which costs decide what an unknown machine does, as ``machines.json`` has it.

``python -m sim sensitivity --machines --json > site_docs/data/machines.json`` writes the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sim.experiment.cost_ranges import RANGES
from sim.study.machine_sensitivity import weight
from site_docs.rendering import numbers
from site_docs.rendering.sensitivity import heads, largest
from site_docs.runs import predicted_file

FILE = Path(__file__).parents[1] / "data" / "machines.json"


def read(path: Path = FILE) -> dict[str, Any]:
    """The document.

    Raises:
        ExperimentError: when it cannot be read, or is not of the ranges that there are today.
    """
    return predicted_file.read(
        path,
        lambda document: {row["name"]: tuple(row["ends"]) for row in document["ranges"]},
        RANGES.ends,
        others="ranges than sim/experiment/cost_ranges.toml",
        again=f"python -m sim sensitivity --machines --json > {path}",
    )


def table() -> str:
    """A row for each range that moves a mean beyond chance, as Markdown: the most first."""
    return "\n".join(rows(read()))


def rows(document: Mapping[str, Any]) -> list[str]:
    """The lines of that table of a document; a last line has the machines."""
    lines = heads(("cost", "lowest and highest"), document["experiments"])
    for row in document["ranges"]:
        if weight(row):
            cells = " | ".join(largest(moves) for moves in row["moves"].values())
            lines.append(f"| `{row['name']}` | {_between(row)} | {cells} |")
    drawn = document["machines"]
    cells = " | ".join(map(_spread, drawn["experiments"].values()))
    lines.append(f"| eight in ten of {drawn['number']} drawn machines | | {cells} |")
    return lines


def _between(row: Mapping[str, Any]) -> str:
    """The ends of a range, marked where they are assumed; of a factor or cost of one, multiples."""
    low, high = row["ends"]
    cost = RANGES.costs.get(row["name"])
    multiples = row["kind"] == "factor" or (cost is not None and cost.factor is not None)
    text = f"{low:g} to {high:g}" + (" times" if multiples else "")
    return f"{text}, assumed" if row["assumed"] else text


def _spread(spread: Mapping[str, tuple[float, float]]) -> str:
    """Between which values mean, p95 and share are."""
    times = (
        f"{numbers.ms(spread[key][0])} to {numbers.ms(spread[key][1])}" for key in ("mean", "p95")
    )
    low, high = spread["share"]
    return ", ".join((*times, f"{low:.2f} to {high:.2f}"))


def deciding() -> tuple[str, ...]:
    """The costs whose range moves a mean by a tenth and more."""
    return tuple(row["name"] for row in read()["ranges"] if weight(row) >= 0.1)


def most_of_others() -> float:
    """The largest such move of all other costs."""
    return max(weight(row) for row in read()["ranges"] if row["name"] not in deciding())


def quiet() -> int:
    """How many ranges move no mean beyond chance."""
    return sum(not weight(row) for row in read()["ranges"])


def variants() -> int:
    """Predictions that each figure of the table is the mean of."""
    return int(read()["variants"])


def most() -> float:
    """The largest such move of any cost."""
    return max(map(weight, read()["ranges"]))


def names(costs: Sequence[str]) -> str:
    """Costs as a list in a sentence."""
    *others, last = (f"`{cost}`" for cost in costs)
    return f"{', '.join(others)} and {last}" if others else last


def processors() -> str:
    """Of the machines that were seen, with the number of their calibrations."""
    counted = (
        f"{sum(each.number for each in RANGES.calibrations if each.processor == processor)} times "
        f"{processor}"
        for processor in RANGES.processors
    )
    return " and ".join(counted)
