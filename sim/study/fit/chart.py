"""Fit against data as an SVG file: the share of requests that are over by each time."""

from __future__ import annotations

import io

from sim.errors import ExperimentError
from sim.study.fit.demand import Demand, Service

#: inches, of each row
SIZE = (8.0, 2.6)

#: Most routes that are drawn: the most frequent.
MOST_ROUTES = 8


def check() -> None:
    """Refuse, before the work, what cannot be drawn.

    Raises:
        ExperimentError: when the extra ``chart`` is missing.
    """
    try:
        import matplotlib  # noqa: F401, PLC0415 - an extra, and slow to import
    except ImportError:
        raise ExperimentError(
            "matplotlib cannot be imported; --chart needs the extra 'chart': "
            "pip install 'gunicorn-sim[chart]'"
        ) from None


def svg(service: Service) -> str:
    """A row of two charts for each route; the same fit gives the same text."""
    # Not pyplot, which keeps state of the process and asks for a display.
    from matplotlib import rc_context  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    demands = service.demands[:MOST_ROUTES]
    # Text stays text, and names of elements do not depend on chance.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "gunicorn-sim"}):
        figure = Figure(figsize=(SIZE[0], SIZE[1] * len(demands)), layout="constrained")
        axes = figure.subplots(len(demands), 2, squeeze=False)
        for row, demand in zip(axes, demands, strict=True):
            for place, name in zip(row, ("io", "cpu"), strict=True):
                _draw(place, demand, name)
        axes[0][0].legend()
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _draw(axes: object, demand: Demand, name: str) -> None:
    fit = getattr(demand, name)
    places = [(number + 0.5) / len(fit.quantiles) for number in range(len(fit.quantiles))]
    found, expected = zip(*fit.quantiles, strict=True)
    draw = getattr(axes, "step")  # noqa: B009 - matplotlib has no types here
    draw([1000 * time for time in found], places, where="post", label="requests")
    draw([1000 * time for time in expected], places, "--", where="post", label="distribution")
    axes.set(  # type: ignore[attr-defined]
        title=f"{demand.name}: {name} {fit.distribution}", xlabel="ms", ylabel="part"
    )
    if found[0] > 0 and found[-1] > 50 * found[0]:
        axes.set_xscale("log")  # type: ignore[attr-defined]
