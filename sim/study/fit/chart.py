"""Fit against data as an SVG file: the share of requests that are over by each time."""

from __future__ import annotations

from typing import Any

from sim.study.figure import svg_of
from sim.study.fit.demand import Service
from sim.study.fit.fitting import Fit

#: inches, of each row
SIZE = (8.0, 2.6)

#: Most routes that are drawn: the most frequent.
MOST_ROUTES = 8


def svg(service: Service) -> str:
    """A row of two charts for each route; the same fit gives the same text."""
    demands = service.demands[:MOST_ROUTES]

    def draw(figure: Any) -> None:  # noqa: ANN401 - a `matplotlib.figure.Figure`
        axes = figure.subplots(len(demands), 2, squeeze=False)
        for row, demand in zip(axes, demands, strict=True):
            for place, name, fit in zip(row, ("io", "cpu"), (demand.io, demand.cpu), strict=True):
                _draw(place, f"{demand.name}: {name} {fit.distribution}", fit)
        axes[0][0].legend()

    return svg_of((SIZE[0], SIZE[1] * len(demands)), draw)


def _draw(axes: Any, title: str, fit: Fit) -> None:  # noqa: ANN401 - `matplotlib.axes.Axes`
    places = [(number + 0.5) / len(fit.quantiles) for number in range(len(fit.quantiles))]
    measured, expected = zip(*fit.quantiles, strict=True)
    axes.step([1000 * time for time in measured], places, where="post", label="requests")
    axes.step([1000 * time for time in expected], places, "--", where="post", label="distribution")
    axes.set(title=title, xlabel="ms", ylabel="part")
    if measured[0] > 0 and measured[-1] > 50 * measured[0]:
        axes.set_xscale("log")
