"""Every cell of the validation: predicted against measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from sim.reports.html.chart import IDEAL, PREDICTED, TEXT, Chart, chart, logarithmic
from sim.validation.rows import Row
from sim.validation.verdict import TARGETED, Result
from site_docs.charts.latency import MEASURES, MS

#: What the marks mean.
KEY = (
    ("dot", "the model, one cell each; its line spans what the repeats measured"),
    ("hollow", "the same, where the server does not repeat itself"),
    ("times", "one ideal shared queue"),
    ("dotted", "prediction = measurement"),
)


def agreement(name: str, title: str, cells: Sequence[tuple[Row, Result]]) -> Chart:
    """Mean, median and p95 of every cell, on logarithmic axes: the nearer to the line, the better.

    Args:
        name: of the chart.
        title: of the chart.
        cells: each row of the validation, and what it comes to.
    """
    panels = {measure: _points(cells, measure) for measure in TARGETED}
    data: dict[str, Any] = {
        "unit": "ms",
        "measures": [
            {"measure": MEASURES[measure], "cells": points} for measure, points in panels.items()
        ],
    }
    description = (
        f"Latency of {len(cells)} cells in ms, predicted against measured: "
        f"{', '.join(MEASURES[measure] for measure in panels)}. "
        "The nearer to the diagonal, the better; the table has the numbers."
    )

    both = [
        value
        for points in panels.values()
        for point in points
        for value in (*point["repeats"], point["predicted"], point["ideal"] or point["predicted"])
    ]
    ends = (0.8 * min(both), 1.25 * max(both))

    def draw(all_axes: Sequence[Axes]) -> None:
        for axes, panel in zip(all_axes, data["measures"], strict=True):
            _draw(axes, panel["measure"], panel["cells"], ends)

    return chart(name, title, description, data, draw, key=KEY, height=270, panels=(1, 3))


def _draw(
    axes: Axes, measure: str, points: Sequence[dict[str, Any]], ends: tuple[float, float]
) -> None:
    logarithmic(axes, ends)
    axes.plot(ends, ends, ":", color=TEXT, linewidth=1)
    known = [point for point in points if point["ideal"]]
    axes.plot(
        [point["measured"] for point in known],
        [point["ideal"] for point in known],
        "x",
        color=IDEAL,
        ms=4,
    )
    for point in points:
        axes.plot(
            [min(point["repeats"]), max(point["repeats"])],
            [point["predicted"], point["predicted"]],
            color=PREDICTED,
            linewidth=1,
            alpha=0.6,
        )
        axes.plot(
            point["measured"],
            point["predicted"],
            "o",
            color=PREDICTED,
            fillstyle="none" if point["noisy"] else "full",
            ms=4,
        )
    axes.set_title(measure)
    axes.set_xlabel("measured (ms)")
    axes.set_ylabel("predicted (ms)")


def _points(cells: Sequence[tuple[Row, Result]], measure: str) -> list[dict[str, Any]]:
    points = []
    for row, result in cells:
        figure, off = result.figure(measure), result.off(measure)
        repeats = [value for values in row.repeats if (value := values[measure])]
        if figure is None or off is None or not figure.predicted or not figure.measured:
            continue
        points.append(
            {
                "cell": result.cell,
                "name": result.name,
                "measured": round(MS * figure.measured, 3),
                "repeats": [round(MS * value, 3) for value in repeats],
                "predicted": round(MS * figure.predicted, 3),
                "ideal": None if figure.ideal is None else round(MS * figure.ideal, 3),
                "noisy": not off.repeated,
            }
        )
    return points
