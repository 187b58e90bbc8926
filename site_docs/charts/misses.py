"""Every cell of the validation: how far the prediction is off, and how far the server itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from sim.reports.html.chart import IDEAL, LOST, MEASURED, PREDICTED, Chart, chart, logarithmic
from sim.validation.verdict import REPEATABLE, SHARE, TARGETED, WORST, Off, Result
from site_docs.charts.latency import MEASURES

#: What the marks mean.
KEY = (
    ("dot", "the model, one cell each"),
    ("times", "one ideal shared queue"),
    ("lost", "further off than it may be, with the cell's number"),
    ("allowed", "what is allowed where the server repeats itself"),
)

#: Panels: the figure, and what its error may be where the server repeats itself.
LIMITS = {**dict.fromkeys(TARGETED, WORST), "share": SHARE}

#: A mark at the end of an axis is whole, and no reason to make room for it.
_AT_THE_END: dict[str, Any] = {"clip_on": False, "in_layout": False}

#: Ends of the axes, %; what is smaller or larger is drawn at the end.
LEAST, MOST = 0.1, 300.0


def misses(name: str, title: str, results: Sequence[Result]) -> Chart:
    """Size of each error against the spread of the repeats, on logarithmic axes, in %.

    Args:
        name: of the chart.
        title: of the chart.
        results: of the validation.
    """
    data: dict[str, Any] = {
        "unit": "%",
        "figures": [
            {
                "figure": MEASURES.get(figure, "share"),
                "limit": round(100 * limit, 1),
                "cells": [
                    _point(result, off, limit)
                    for result in results
                    if (off := _off(result, figure))
                ],
            }
            for figure, limit in LIMITS.items()
        ],
    }
    description = (
        "Size of the prediction's error against the spread of the server's repeats, in %. "
        + " ".join(_sentence(panel) for panel in data["figures"])
    )

    def draw(all_axes: Sequence[Axes]) -> None:
        for axes, panel in zip(all_axes, data["figures"], strict=True):
            _draw(axes, panel)

    return chart(name, title, description, data, draw, key=KEY, height=270, panels=(2, 2))


def _off(result: Result, figure: str) -> Off | None:
    return result.share if figure == "share" else result.off(figure)


def _point(result: Result, off: Off, limit: float) -> dict[str, Any]:
    return {
        "cell": result.cell,
        "name": result.name,
        "error": round(100 * off.error, 2),
        "spread": round(100 * off.spread, 2),
        "ideal": None if off.ideal is None else round(100 * off.ideal, 2),
        "missed": not off.within(limit),
    }


def _sentence(panel: dict[str, Any]) -> str:
    missed = [str(point["cell"]) for point in panel["cells"] if point["missed"]]
    conclusion = (
        f"further off than allowed: {', '.join(missed)}" if missed else "none is too far off"
    )
    return f"{panel['figure'].capitalize()}, {len(panel['cells'])} cells, {conclusion}."


def _draw(axes: Axes, panel: dict[str, Any]) -> None:
    logarithmic(axes, (LEAST, MOST))
    border = 100 * REPEATABLE
    axes.fill_between(
        [LEAST, border],
        [panel["limit"], panel["limit"]],
        LEAST,
        color=MEASURED,
        alpha=0.12,
        linewidth=0,
    )
    known = [point for point in panel["cells"] if point["ideal"] is not None]
    axes.plot(
        [_inside(point["spread"]) for point in known],
        [_inside(point["ideal"]) for point in known],
        "x",
        color=IDEAL,
        ms=4,
        **_AT_THE_END,
    )
    for point in panel["cells"]:
        place = (_inside(point["spread"]), _inside(point["error"]))
        colour = LOST if point["missed"] else PREDICTED
        axes.plot(*place, "o", color=colour, ms=4, **_AT_THE_END)
        if point["missed"]:
            number = axes.annotate(
                str(point["cell"]),
                place,
                (4, 3),
                textcoords="offset points",
                color=LOST,
                fontsize=10,
            )
            number.set_in_layout(False)
    axes.set_title(panel["figure"])
    axes.set_xlabel("repeats differ by (%)")
    axes.set_ylabel("off by (%)")


def _inside(value: float) -> float:
    return min(max(value, LEAST), MOST)
