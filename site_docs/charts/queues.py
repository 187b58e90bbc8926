"""How much of the time a request waits while a thread of the same server is idle."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes

from sim.analysis.visits import waits_beside_idle
from sim.reports.html.chart import MEASURED, POINTS, PREDICTED, Chart, chart
from site_docs.runs.evidence import Evidence

#: What the marks mean.
KEY = (("bar", "predicted"), POINTS)


def queues(name: str, title: str, each: Sequence[tuple[str, Evidence]]) -> Chart:
    """The share of time in each configuration, predicted and in each measured repeat.

    Args:
        name: of the chart.
        title: of the chart.
        each: a label and the evidence of each configuration.
    """
    data: dict[str, Any] = {
        "unit": "share of the time, from 0 to 1",
        "configurations": [
            {
                "configuration": label,
                "predicted": fmean(waits_beside_idle(run) for run in one.predicted),
                "repeats": [waits_beside_idle(run) for run in one.measured],
            }
            for label, one in each
        ],
    }
    description = f"{title}, in percent of the time. " + " ".join(
        f"{row['configuration']}: predicted {100 * row['predicted']:.0f}, "
        f"measured {100 * fmean(row['repeats']):.0f}."
        for row in data["configurations"]
    )

    def draw(axes: Axes) -> None:
        rows = data["configurations"]
        for place, row in enumerate(rows):
            axes.barh(place, 100 * row["predicted"], 0.6, color=PREDICTED, alpha=0.45)
            axes.plot(
                [100 * share for share in row["repeats"]],
                [place] * len(row["repeats"]),
                "o",
                color=MEASURED,
                ms=6,
            )
        axes.set_yticks(range(len(rows)), [row["configuration"] for row in rows])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("% of the time")

    return chart(name, title, description, data, draw, key=KEY, height=260)
