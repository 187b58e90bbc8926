"""Latencies of configurations that serve the same requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from sim.reports.html.chart import (
    IDEAL,
    MEASURED,
    PREDICTED,
    SPREAD_KEY,
    Chart,
    chart,
)
from sim.validation.comparison import Figure
from site_docs.charts.band import band
from site_docs.runs.evidence import Evidence

MS = 1000.0

#: Of a latency, those that charts show, and their words.
MEASURES = {"latency_mean": "mean", "latency_p50": "median", "latency_p95": "p95"}


def configurations(
    name: str, title: str, rows: Sequence[tuple[str, Evidence]], measure: str
) -> Chart:
    """A latency in each configuration: predicted, measured with its spread, and the ideal.

    Args:
        name: of the chart.
        title: of the chart.
        rows: a label and the evidence of each configuration.
        measure: key of `MEASURES`.
    """
    figures = [(label, each.comparison.figure(measure)) for label, each in rows]
    word = MEASURES[measure]
    data: dict[str, Any] = {
        "unit": "ms",
        "measure": word,
        "configurations": [
            {"configuration": label, **_numbers(figure, each)}
            for (label, figure), (_, each) in zip(figures, rows, strict=True)
        ],
    }
    description = f"Latency, {word}, in ms. " + " ".join(
        f"{row['configuration']}: predicted {row['predicted']:.0f}, measured {row['measured']:.0f}."
        for row in data["configurations"]
    )

    def draw(axes: Axes) -> None:
        for place, row in enumerate(data["configurations"]):
            axes.plot(
                [row["predicted_low"], row["predicted_high"]],
                [place, place],
                color=PREDICTED,
                linewidth=9,
                alpha=0.3,
                solid_capstyle="butt",
            )
            axes.plot([row["predicted"]], [place], "|", color=PREDICTED, ms=16, mew=3)
            axes.plot(
                row["repeats"],
                [place] * len(row["repeats"]),
                "o",
                color=MEASURED,
                ms=6,
            )
            if row["ideal"] is not None and not place:
                axes.axvline(
                    row["ideal"],
                    color=IDEAL,
                    linewidth=1.5,
                    linestyle="--",
                )
        axes.set_yticks(range(len(figures)), [label for label, _ in figures])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"latency, {word} (ms)")

    return chart(
        name,
        title,
        description,
        data,
        draw,
        key=SPREAD_KEY,
        height=60 + 36 * len(rows),
    )


def quantiles(name: str, title: str, each: Evidence) -> Chart:
    """How many requests take how long: the predicted line, and measured points."""
    percents = {"latency_p50": 50, "latency_p90": 90, "latency_p95": 95, "latency_p99": 99}
    figures = {percent: each.comparison.figure(key) for key, percent in percents.items()}
    data: dict[str, Any] = {
        "unit": "ms",
        "quantiles": [
            {"percent": percent, **_numbers(figure, each)} for percent, figure in figures.items()
        ],
    }
    description = "Latency in ms. " + " ".join(
        f"{row['percent']} % of requests within: predicted {row['predicted']:.0f}, measured "
        f"{row['measured']:.0f}."
        for row in data["quantiles"]
    )
    rows = data["quantiles"]

    def draw(axes: Axes) -> None:
        places = range(len(rows))
        band(axes, places, rows, zip(places, [row["repeats"] for row in rows], strict=True))
        axes.set_xticks(places, [f"{row['percent']} %" for row in rows])
        axes.set_xlabel("of the requests are answered within")
        axes.set_ylabel("latency (ms)")

    return chart(name, title, description, data, draw, key=SPREAD_KEY, height=300)


def _numbers(figure: Figure, each: Evidence) -> dict[str, Any]:
    """A figure in ms, and every repeat of it."""

    def ms(value: float | None) -> float | None:
        return None if value is None else round(MS * value, 3)

    return {
        "predicted": ms(figure.predicted),
        "predicted_low": ms(figure.predicted_low),
        "predicted_high": ms(figure.predicted_high),
        "measured": ms(figure.measured),
        "repeats": [ms(value) for value in each.repeats(figure.name)],
        "ideal": ms(figure.ideal),
    }
