"""Figures of a page, drawn: `sim.reports.html.page` says what is in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from sim.reports.html.chart import (
    GRID,
    IDEAL,
    LOST,
    MEASURED,
    PREDICTED,
    TEXT,
    Chart,
    chart,
    drawable,
)
from sim.reports.html.page import Colour, Curves, Figure, Lane, Lanes, Rows, Series

COLOURS: dict[Colour, str] = {
    "predicted": PREDICTED,
    "measured": MEASURED,
    "ideal": IDEAL,
    "lost": LOST,
    "text": TEXT,
}

#: px: a chart of curves, a row of bars, and a lane: the first and the others.
CURVES, ROW, FIRST_LANE, LANE = 270, 30, 150, 56

#: px besides: axis, label and margin.
AXIS = 56

#: Characters of a row's label at most.
LABEL = 30


def draw(figure: Figure) -> Chart:
    """Draw a figure for a wide and a narrow page."""
    drawing = figure.drawing
    match drawing:
        case Curves():
            return _chart(figure, lambda axes: _curves(axes, drawing), CURVES)
        case Rows():
            height = AXIS + ROW * len(drawing.labels)
            return _chart(figure, lambda axes: _rows(axes, drawing), height)
        case Lanes():
            others = len(drawing.lanes) - 1
            return _chart(
                figure,
                lambda axes: _lanes([axes] if isinstance(axes, Axes) else axes, drawing),
                AXIS + FIRST_LANE + LANE * others,
                rows=(float(FIRST_LANE), *(float(LANE) for _ in range(others))),
            )


def _chart(
    figure: Figure, drawn: Callable[[Any], None], height: int, rows: tuple[float, ...] = (1.0,)
) -> Chart:
    # The page has the key, and the table behind it.
    return chart(
        figure.name,
        figure.title,
        figure.description,
        {},
        drawn,
        key=(),
        height=height,
        rows=rows,
    )


def _curves(axes: Axes, drawing: Curves) -> None:
    for order, series in enumerate(drawing.series):
        above = 10 - order
        colour = COLOURS[series.key.colour]
        if series.key.mark in ("dot", "hollow"):
            _dots(axes, series, series.x, series.y, above)
            for x, low, high in zip(series.x, series.low, series.high, strict=False):
                axes.plot([x, x], [low, high], color=colour, linewidth=5, alpha=0.35, zorder=above)
        else:
            style = {"dashed": "--", "dotted": ":"}.get(series.key.mark, "-")
            axes.plot(series.x, series.y, style, color=colour, linewidth=2, zorder=above)
    if drawing.limit is not None:
        axes.axhline(drawing.limit[0], color=LOST, linewidth=1.2, linestyle=":")
    if drawing.log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(_plain())
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(_plain())
    if drawing.log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(_plain())
        axes.xaxis.set_minor_formatter(NullFormatter())
    if drawing.ticks:
        places, names = zip(*drawing.ticks, strict=True)
        axes.set_xticks(places, [drawable(name) for name in names])
    axes.set_xlabel(drawable(drawing.x_label))
    axes.set_ylabel(drawable(drawing.y_label))


def _plain() -> FuncFormatter:
    """Writes the numbers of an axis as people do, however large they are."""
    return FuncFormatter(lambda value, _: f"{value:,.10g}")


def _dots(axes: Axes, series: Series, x: Sequence[float], y: Sequence[float], above: int) -> None:
    colour = COLOURS[series.key.colour]
    face = "none" if series.key.mark == "hollow" else colour
    axes.plot(x, y, "o", color=colour, markerfacecolor=face, ms=6, zorder=above + 0.5)


def _rows(axes: Axes, drawing: Rows) -> None:
    offsets = [0.0] * len(drawing.labels)
    dots = [series for series in drawing.series if series.key.mark in ("dot", "hollow")]
    step = 0.0 if len(dots) < 2 else 0.36 / (len(dots) - 1)
    for series in drawing.series:
        colour = COLOURS[series.key.colour]
        if series.key.mark in ("dot", "hollow"):
            shift = dots.index(series) * step - step * (len(dots) - 1) / 2
            places = [place + shift for place in series.y]
            for y, low, high in zip(places, series.low, series.high, strict=False):
                axes.plot([low, high], [y, y], color=colour, linewidth=5, alpha=0.35)
            _dots(axes, series, series.x, places, 5)
            continue
        for value, place in zip(series.x, series.y, strict=True):
            row = int(place)
            left = offsets[row] if series.key.mark == "bar" else 0.0
            axes.barh(row, value, 0.62, left=left, color=colour, alpha=0.75)
            offsets[row] += value
    if drawing.limit is not None:
        axes.axvline(drawing.limit[0], color=LOST, linewidth=1.4, linestyle=":")
    labels = [drawable(_shortened(label)) for label in drawing.labels]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(_plain())
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(drawable(drawing.x_label))


def _shortened(label: str) -> str:
    return label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"


def _lanes(all_axes: Sequence[Axes], drawing: Lanes) -> None:
    edges = drawing.edges
    for axes, lane in zip(all_axes, drawing.lanes, strict=True):
        _lane(axes, edges, lane)
        for moment in drawing.moments:
            axes.axvline(moment, color=TEXT, linewidth=1.2, linestyle=":")
    first, last = all_axes[0], all_axes[-1]
    if drawing.lost:
        top = first.get_ylim()[1]
        first.plot(drawing.lost, [0.95 * top] * len(drawing.lost), "x", color=LOST, ms=5)
    last.set_xlabel("time (s)")
    last.set_xlim(edges[0], edges[-1])


def _lane(axes: Axes, edges: Sequence[float], lane: Lane) -> None:
    both = [busy + waiting for busy, waiting in zip(lane.busy, lane.waiting, strict=True)]
    axes.stairs(both, edges, baseline=lane.busy, fill=True, color=MEASURED, alpha=0.75, lw=0)
    axes.stairs(lane.busy, edges, fill=True, color=PREDICTED, alpha=0.6, lw=0)
    most = max([*both, *(number for _, number in lane.capacity)], default=1.0)
    if lane.capacity:
        times, numbers = zip(*lane.capacity, strict=True)
        axes.step(
            [*times, edges[-1]],
            [*numbers, numbers[-1]],
            where="post",
            color=TEXT,
            linewidth=1.2,
            linestyle="--",
        )
    axes.set_ylim(0, 1.12 * max(most, 1.0))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.set_title(drawable(lane.label), loc="left", fontsize=12, pad=3)
    axes.spines["bottom"].set_color(GRID)
