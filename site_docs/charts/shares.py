"""Which worker accepts how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from sim.reports.html.chart import MEASURED, POINTS, PREDICTED, TEXT, Chart, chart
from site_docs.runs.evidence import Evidence

#: What the marks mean.
KEY = (("bar", "predicted"), POINTS, ("dotted", "equal shares"))


def shares(name: str, title: str, each: Sequence[Evidence]) -> Chart:
    """The share of each worker by boot order, for servers of different numbers of workers."""
    data: dict[str, Any] = {
        "unit": "share of the requests, from 0 to 1",
        "servers": [_server(one) for one in each],
    }
    description = " ".join(
        f"{server['workers']} workers by boot order: predicted "
        f"{_percents(row['predicted'] for row in server['shares'])}; measured "
        f"{_percents(row['measured'] for row in server['shares'])}."
        for server in data["servers"]
    )

    def draw(axes: Axes) -> None:
        place = 0.0
        ticks: list[float] = []
        labels: list[str] = []
        for server in data["servers"]:
            middle = place + (server["workers"] - 1) / 2
            axes.hlines(
                1 / server["workers"],
                place - 0.45,
                place + server["workers"] - 0.55,
                color=TEXT,
                linewidth=1,
                linestyle=":",
            )
            for row in server["shares"]:
                axes.bar(
                    place,
                    row["predicted"],
                    0.7,
                    color=PREDICTED,
                    alpha=0.45,
                )
                axes.plot(
                    [place] * len(row["repeats"]),
                    row["repeats"],
                    "o",
                    color=MEASURED,
                    ms=5,
                )
                ticks.append(place)
                labels.append(str(row["worker"]))
                place += 1
            axes.annotate(
                f"{server['workers']} workers",
                (middle, 0),
                (0, -34),
                xycoords="data",
                textcoords="offset points",
                ha="center",
                va="top",
                annotation_clip=False,
            )
            place += 1
        axes.set_xticks(ticks, labels)
        axes.grid(axis="x", visible=False)
        axes.set_ylabel("share of the requests")
        axes.set_xlabel("worker, by boot order\n ")

    return chart(name, title, description, data, draw, key=KEY, height=320)


def _server(each: Evidence) -> dict[str, Any]:
    workers = each.experiment.server.workers
    rows = []
    for number in range(1, workers + 1):
        figure = each.comparison.figure(f"share_worker_{number}")
        rows.append(
            {
                "worker": number,
                "predicted": figure.predicted,
                "measured": figure.measured,
                "repeats": list(each.repeats(figure.name)),
            }
        )
    return {"workers": workers, "shares": rows}


def _percents(values: Any) -> str:  # noqa: ANN401 - any iterable of numbers
    return ", ".join(f"{100 * value:.0f} %" for value in values)
