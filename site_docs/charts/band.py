"""Latency along an axis: what is predicted, with its band, and points where it was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes

from sim.reports.html.chart import IDEAL, MEASURED, PREDICTED


def band(
    axes: Axes,
    along: Sequence[float],
    rows: Sequence[dict[str, Any]],
    measured: Iterable[tuple[float, Sequence[float]]],
) -> None:
    """Draw the predicted line and its band, the ideal queue's line, and each repeat as a point.

    Args:
        axes: to draw into; they begin at zero.
        along: place of each row.
        rows: numbers called ``predicted``, ``predicted_low``, ``predicted_high`` and ``ideal``.
        measured: place and repeats of what was measured.
    """
    low, high = ([row[f"predicted_{end}"] for row in rows] for end in ("low", "high"))
    axes.fill_between(along, low, high, color=PREDICTED, alpha=0.25, linewidth=0)
    axes.plot(along, [row["predicted"] for row in rows], color=PREDICTED)
    axes.plot(along, [row["ideal"] for row in rows], "--", color=IDEAL)
    for place, repeats in measured:
        axes.plot([place] * len(repeats), repeats, "o", color=MEASURED, ms=6)
    axes.set_ylim(bottom=0)
