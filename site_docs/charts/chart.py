"""One chart: what it shows, for eyes, for a screen reader, and for a program."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

#: What a colour means, by the colour that Matplotlib draws it with; the style sheet says which
#: colour that is, in the light theme and in the dark one.
TEXT, GRID, PREDICTED, MEASURED, IDEAL, LOST = (f"#00000{digit}" for digit in range(1, 7))
_VARIABLES = {
    TEXT: "--chart-text",
    GRID: "--chart-grid",
    PREDICTED: "--chart-predicted",
    MEASURED: "--chart-measured",
    IDEAL: "--chart-ideal",
    LOST: "--chart-lost",
}

#: What the marks of most charts mean.
POINTS = ("point", "measured: each repeat")
SPREAD_KEY = (
    ("band", "predicted: mean, and 90 % of the server's chances"),
    POINTS,
    ("dashed", "one ideal shared queue"),
)

#: Widths, px: of the text on a desk and on a telephone. One unit of the SVG is one px.
WIDE, NARROW = 680, 330

#: Matplotlib counts in inches, and writes 72 units of SVG for each.
_UNITS = 72

_STYLE: Any = {
    "svg.fonttype": "none",  # Text stays text, in the page's font.
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "text.color": TEXT,
    "axes.edgecolor": TEXT,
    "axes.labelcolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 1.0,
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, ready for a page.

    Attributes:
        name: of the chart and of its data; unique on the site.
        title: what it shows.
        description: what can be seen in it, for people who do not see it.
        data: what is drawn, ready for `json.dumps`.
        key: what each mark means: the name of a class of the style sheet, and words.
        wide: the SVG for a wide page.
        narrow: the SVG for a narrow one.
    """

    name: str
    title: str
    description: str
    data: dict[str, Any]
    key: tuple[tuple[str, str], ...]
    wide: str
    narrow: str


def chart(
    name: str,
    title: str,
    description: str,
    data: dict[str, Any],
    draw: Callable[[Any], None],
    *,
    key: tuple[tuple[str, str], ...],
    height: int,
    rows: tuple[float, ...] = (1.0,),
) -> Chart:
    """Draw a chart in both widths.

    Args:
        name: see `Chart`.
        title: see `Chart`.
        description: see `Chart`.
        data: see `Chart`.
        draw: draws ``data`` into the `Axes` that it gets, or into a list of them where there are
            several ``rows``.
        key: see `Chart`.
        height: of the chart, px.
        rows: relative heights of axes that share their x axis, one above the other.
    """
    wide, narrow = (
        _svg(f"{name}-{width}", title, description, _figure(draw, width, height, rows))
        for width in (WIDE, NARROW)
    )
    return Chart(name, title, description, data, key, wide, narrow)


def _figure(draw: Callable[[Any], None], width: int, height: int, rows: tuple[float, ...]) -> str:
    with rc_context(_STYLE):
        figure = Figure(figsize=(width / _UNITS, height / _UNITS))
        axes: list[Axes] = list(
            figure.subplots(
                len(rows), sharex=True, squeeze=False, gridspec_kw={"height_ratios": rows}
            )[:, 0]
        )
        draw(axes if len(rows) > 1 else axes[0])
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return file.getvalue()


def _svg(unique: str, title: str, description: str, text: str) -> str:
    """Matplotlib's SVG as a part of a page."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    view_box = re.search(r'viewBox="([^"]+)"', text)
    assert view_box, "Matplotlib writes a viewBox"
    # Ids must be this chart's alone, and only those that something refers to are of use.
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', text))
    text = re.sub(
        r'\s+id="([^"]+)"',
        lambda match: f' id="{unique}-{match[1]}"' if match[1] in used else "",
        text,
    )
    text = re.sub(r'(url\(|href=")#', rf"\1#{unique}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    text = re.sub(r"font: [^;\"]*?(\d+)px[^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"\n\s*", "\n", text)
    body = text[text.index(">") + 1 :].strip()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{view_box[1]}" role="img" '
        f'aria-labelledby="{unique}-title {unique}-description">'
        f'<title id="{unique}-title">{escape(title)}</title>'
        f'<desc id="{unique}-description">{escape(description)}</desc>{body}'
    )
