"""Latency as one thing varies: the predicted line, and points where it was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from sim.reports.html.chart import SPREAD_KEY, Chart, chart
from site_docs.charts.band import band
from site_docs.charts.latency import MEASURES, MS
from site_docs.runs.evidence import Evidence
from site_docs.runs.sweep import Point


def sweep(
    name: str,
    title: str,
    label: str,
    points: Sequence[Point],
    measured: Mapping[float, Evidence],
    measure: str,
) -> Chart:
    """A latency along a variation.

    Args:
        name: of the chart.
        title: of the chart.
        label: of what varies, with its unit.
        points: predictions.
        measured: evidence by what varies.
        measure: ``latency_mean`` or ``latency_p95``.
    """
    word = MEASURES[measure]
    rows = []
    for point in points:
        spread = point.mean if measure == "latency_mean" else point.p95
        ideal = point.ideal_mean if measure == "latency_mean" else point.ideal_p95
        rows.append(
            {
                "at": point.at,
                "predicted": round(MS * spread.mean, 3),
                "predicted_low": round(MS * spread.low, 3),
                "predicted_high": round(MS * spread.high, 3),
                "ideal": round(MS * ideal, 3),
            }
        )
    repeats = {
        at: [round(MS * value, 3) for value in each.repeats(measure)]
        for at, each in measured.items()
    }
    data: dict[str, Any] = {
        "unit": "ms",
        "measure": word,
        "varied": label,
        "predicted": rows,
        "measured": [{"at": at, "repeats": values} for at, values in repeats.items()],
    }
    description = (
        f"Latency, {word}, in ms, along {label}. "
        + " ".join(f"At {row['at']:g}: predicted {row['predicted']:.0f}." for row in rows)
        + " "
        + " ".join(f"At {at:g}: measured {fmean(values):.0f}." for at, values in repeats.items())
    )

    def draw(axes: Axes) -> None:
        band(axes, [row["at"] for row in rows], rows, repeats.items())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(label)
        axes.set_ylabel(f"latency, {word} (ms)")

    return chart(name, title, description, data, draw, key=SPREAD_KEY, height=300)
