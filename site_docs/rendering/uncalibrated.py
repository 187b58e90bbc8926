"""What bands of predictions without calibration cover, as ``coverage.json`` has it, for a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from site_docs.rendering import numbers
from site_docs.runs.coverage import FIGURES, read_file

#: What the pages call each figure.
NAMES = {"latency_mean": "mean", "latency_p95": "p95", "share_worker_1": "share of worker 1"}


def expected() -> float:
    """Share of the runs that lie within the lowest and highest of n others by chance alone.

    Of n + 1 machines that are drawn alike each is as likely the lowest or the highest (David and
    Nagaraja, *Order Statistics*, 3rd ed., section 7.3). The band has the prediction itself too, so
    a run of such a machine lies within somewhat more often.
    """
    drawn: int = read_file()["machines"]
    return (drawn - 1) / (drawn + 1)


def within(figure: Mapping[str, Any]) -> list[bool]:
    """Whether each run of a figure lies within its band."""
    return [figure["low"] <= measured <= figure["high"] for measured in figure["measured"]]


def figures(rows: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A figure of all cells that have it."""
    return [cell["figures"][name] for cell in rows["cells"] if name in cell["figures"]]


def covered(rows: Mapping[str, Any], name: str) -> tuple[int, int]:
    """How many runs lie within the band of a figure, of how many."""
    inside = [one for figure in figures(rows, name) for one in within(figure)]
    return sum(inside), len(inside)


def errors(rows: Mapping[str, Any], name: str) -> list[float]:
    """How far each prediction is from the mean of the runs: a part of it; of a share, absolute."""
    differences = []
    for figure in figures(rows, name):
        measured = sum(figure["measured"]) / len(figure["measured"])
        difference = abs(figure["predicted"] - measured)
        differences.append(difference if name.startswith("share") else difference / measured)
    return differences


def table() -> str:
    """A line for each validation: runs within the band, and errors without it, as Markdown."""
    return "\n".join(_lines(read_file()))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    heads = " | ".join(f"{NAMES[name]}: runs within | median error, worst" for name in FIGURES)
    yield f"| rows | cells | {heads} |"
    yield f"| --- | ---: |{' ---: | ---: |' * len(FIGURES)}"
    for rows in document["rows"]:
        cells = []
        for name in FIGURES:
            inside, runs = covered(rows, name)
            off = errors(rows, name)
            cells.append(f"{inside} of {runs} ({numbers.percent(inside / runs)})")
            cells.append(f"{_size(name, median(off))}, {_size(name, max(off))}")
        yield f"| {rows['name']} | {len(rows['cells'])} | {' | '.join(cells)} |"


def _size(name: str, error: float) -> str:
    if name.startswith("share"):
        return f"{100 * error:.1f} points"
    return numbers.percent(error)


def machines() -> int:
    """Machines of each band."""
    return int(read_file()["machines"])


def fewest() -> str:
    """The rows and the figure of which the smallest part of the runs lies within, in words."""
    parts = []
    for rows in read_file()["rows"]:
        for name in FIGURES:
            inside, runs = covered(rows, name)
            parts.append((inside / runs, rows["name"], NAMES[name]))
    part, rows_name, figure = min(parts)
    return f"the {figure} with {rows_name} ({numbers.percent(part)})"


def counted() -> tuple[int, int]:
    """Runs whose mean or p95 lies within its band, of how many: no rows twice."""
    once = [rows for rows in read_file()["rows"] if not rows["unseen"]]
    counts = [covered(rows, name) for rows in once for name in FIGURES[:2]]
    return sum(inside for inside, _ in counts), sum(runs for _, runs in counts)


def total() -> str:
    """The same in words."""
    inside, runs = counted()
    return f"{inside:,} of {runs:,} ({numbers.percent(inside / runs)})"
