"""Every cell of the validation: predicted against measured."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from sim.validation import Validation
from site_docs.charts.chart import IDEAL, MEASURED, TEXT, Chart, chart

#: What the marks mean.
KEY = (
    ("point", "the model, one cell each"),
    ("ring", "one ideal shared queue"),
    ("dotted", "prediction = measurement"),
)


def agreement(name: str, title: str, validation: Validation) -> Chart:
    """Mean latency of every cell, on logarithmic axes: the nearer to the line, the better."""
    cells = [
        {
            "cell": result.cell,
            "name": result.name,
            "measured": round(1000 * figure.measured, 3),
            "predicted": round(1000 * figure.predicted, 3),
            "ideal": None if figure.ideal is None else round(1000 * figure.ideal, 3),
        }
        for result in validation.results
        if (figure := result.figure("latency_mean")) is not None
        and figure.measured
        and figure.predicted
    ]
    data: dict[str, Any] = {"unit": "ms", "measure": "mean", "cells": cells}
    description = (
        f"Mean latency of {len(cells)} cells, predicted against measured, in ms. "
        "The nearer to the diagonal, the better."
    )

    def draw(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.set_yscale("log")
        both = [cell[side] for cell in data["cells"] for side in ("measured", "predicted")]
        ends = [0.8 * min(both), 1.25 * max(both)]
        axes.plot(ends, ends, ":", color=TEXT, linewidth=1)
        known = [cell for cell in data["cells"] if cell["ideal"] is not None]
        axes.plot(
            [cell["measured"] for cell in known],
            [cell["ideal"] for cell in known],
            "o",
            color=IDEAL,
            fillstyle="none",
            ms=6,
        )
        axes.plot(
            [cell["measured"] for cell in data["cells"]],
            [cell["predicted"] for cell in data["cells"]],
            "o",
            color=MEASURED,
            ms=5,
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel("latency, mean, measured (ms)")
        axes.set_ylabel("the same, predicted (ms)")

    return chart(name, title, description, data, draw, key=KEY, height=380)
