"""A sweep as a line chart in an SVG file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim.errors import ExperimentError
from sim.study.figure import refuse_without_matplotlib, svg_of
from sim.study.formatting import SCALE, heading
from sim.study.observation import estimate, unit_of
from sim.study.parameter import Parameter, Point, formatted
from sim.study.sweep import Row, Sweep

#: inches
SIZE = (8.0, 4.5)

#: Largest value / smallest, from which on a logarithmic axis shows more.
WIDE = 50.0

#: Lines that can be told apart.
MOST_LINES = 20


def check(sweep: Sweep) -> None:
    """Refuse, before the work, what cannot be drawn.

    Raises:
        ExperimentError: when the extra ``chart`` is missing, or there would be too many lines.
    """
    refuse_without_matplotlib()
    lines = 1
    for parameter in sweep.parameters:
        if parameter != _axis(sweep):
            lines *= len(parameter.values)
    if lines > MOST_LINES:
        raise ExperimentError(
            f"--chart would have {lines} lines; expected at most {MOST_LINES}, so fewer values"
        )


def svg(sweep: Sweep, rows: Sequence[Row], measure: str) -> str:
    """The chart: a line for each combination of the other parameters, with its 95 % intervals.

    Along the axis is the first parameter of numbers, or the first one if none is. The same rows
    give the same text.
    """
    axis, scale = _axis(sweep), SCALE[unit_of(measure)]

    def draw(figure: Any) -> None:  # noqa: ANN401 - a `matplotlib.figure.Figure`
        axes = figure.add_subplot()
        values: list[float] = []
        for label, line in _lines(axis, rows):
            estimates = [(row, estimate(row.observations, measure)) for row in line]
            known = [(row, each) for row, each in estimates if each is not None]
            along = [_place(axis, row.point) for row, _ in known]
            middle = [scale * each.value for _, each in known]
            half = [scale * (each.half_width or 0.0) for _, each in known]
            axes.errorbar(along, middle, yerr=half, marker="o", capsize=3, label=label)
            values += middle
        if not _numeric(axis):
            axes.set_xticks(range(len(axis.values)), [formatted(value) for value in axis.values])
        positive = [value for value in values if value > 0]
        if positive and len(positive) == len(values) and max(values) / min(values) > WIDE:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(axis.name)
        axes.set_ylabel(heading(measure))
        axes.set_title(f"Predicted for Gunicorn {sweep.base.server.gunicorn}")
        axes.grid(alpha=0.3)
        if len(sweep.parameters) > 1:
            axes.legend()

    return svg_of(SIZE, draw)


def _axis(sweep: Sweep) -> Parameter:
    numeric = [parameter for parameter in sweep.parameters if _numeric(parameter)]
    return (numeric or sweep.parameters)[0]


def _numeric(parameter: Parameter) -> bool:
    return all(type(value) in (int, float) for value in parameter.values)


def _place(axis: Parameter, point: Point) -> float:
    value = dict(point)[axis.name]
    return float(value) if _numeric(axis) else axis.values.index(value)


def _lines(axis: Parameter, rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Rows by what they have in common but for the axis."""
    lines: dict[str, list[Row]] = {}
    for row in rows:
        others = [pair for pair in row.point if pair[0] != axis.name]
        label = ", ".join(f"{name} {formatted(value)}" for name, value in others)
        lines.setdefault(label, []).append(row)
    return list(lines.items())
