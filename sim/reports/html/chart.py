"""One chart of a page: what it shows, for eyes, for a screen reader, and for a program.

Matplotlib draws it, and the page's style sheet gives it its colours. It needs the extra ``report``.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

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

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_NAMESPACE = re.compile(r' xmlns(:\w+)?="[^"]*"')
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_DECIMALS = re.compile(r"\d+\.\d{2,}")
_FONT = re.compile(r"font: [^;]*?(\d+)px[^;]*")

#: Characters that XML 1.0 cannot hold.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")

_STYLE: Any = {
    "svg.hashsalt": "",  # The same ids in every build.
    "svg.fonttype": "none",  # Text stays text, in the page's font.
    "text.parse_math": False,  # A name may have dollar signs.
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "text.color": TEXT,
    "axes.edgecolor": TEXT,
    "axes.labelcolor": TEXT,
    "xtick.bottom": False,  # The grid's lines are enough.
    "ytick.left": False,
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
    panels: tuple[int, int] = (1, 1),
) -> Chart:
    """Draw a chart in both widths.

    Args:
        name: see `Chart`.
        title: see `Chart`.
        description: see `Chart`.
        data: see `Chart`.
        draw: draws ``data`` into the `Axes` that it gets, or into a list of them where there are
            several ``rows`` or ``panels``.
        key: see `Chart`.
        height: of the chart, or of one panel, px.
        rows: relative heights of axes that share their x axis, one above the other.
        panels: axes of their own: how many one above the other, and how many side by side; on a
            narrow page all are one above the other.
    """
    layouts = {WIDE: panels, NARROW: (panels[0] * panels[1], 1)}
    wide, narrow = (
        _svg(f"{name}-{width}", title, description, _figure(draw, width, height, rows, layout))
        for width, layout in layouts.items()
    )
    return Chart(name, title, description, data, key, wide, narrow)


def logarithmic(axes: Axes, ends: tuple[float, float]) -> None:
    """Make both axes logarithmic between the same ends, and write a number at each power of ten."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,g}")
        axis.set_minor_formatter(NullFormatter())


def drawable(text: str) -> str:
    """Text that a chart can hold: with a replacement for what XML has no character for."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _figure(
    draw: Callable[[Any], None],
    width: int,
    height: int,
    rows: tuple[float, ...],
    layout: tuple[int, int],
) -> str:
    down, across = layout
    with rc_context(_STYLE), warnings.catch_warnings():
        # It measures text in a font of its own, and the page draws it in the reader's.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure = Figure(figsize=(width / _UNITS, down * height / _UNITS))
        grid = (
            figure.subplots(
                len(rows), sharex=True, squeeze=False, gridspec_kw={"height_ratios": rows}
            )
            if len(rows) > 1
            else figure.subplots(down, across, squeeze=False)
        )
        axes: list[Axes] = list(grid.flat)
        draw(axes if len(axes) > 1 else axes[0])
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return file.getvalue()


def _svg(unique: str, title: str, description: str, text: str) -> str:
    """Matplotlib's SVG as a part of a page: small, named, and with ids of its own."""
    root = ElementTree.fromstring(text)  # noqa: S314 - Matplotlib wrote it
    for unwanted in (f"{_SVG}metadata", f"{_SVG}defs/{_SVG}style"):
        for parent in root.iterfind(f".//{unwanted}/.."):
            parent[:] = [child for child in parent if not unwanted.endswith(child.tag)]
    # Only ids that something refers to are of use; other charts of the page have the same.
    used = dict.fromkeys(name for element in root.iter() for name in _referred(element))
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
    _flatten(root)
    # Matplotlib's ids depend on the last bit of a coordinate.
    ids = {name: f"{unique}-{number}" for number, name in enumerate(used)}
    for element in root.iter():
        for name, value in element.attrib.items():
            element.set(name, _attribute(name, value, ids))
    body = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    body = _NAMESPACE.sub("", body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{root.get("viewBox")}" role="img" '
        f'aria-labelledby="{unique}-title {unique}-description">'
        f'<title id="{unique}-title">{escape(drawable(title))}</title>'
        f'<desc id="{unique}-description">{escape(drawable(description))}</desc>'
        f"{' '.join(body.split())}</svg>"
    )


def _referred(element: ElementTree.Element) -> list[str]:
    """The ids that an element refers to."""
    references = [name for value in element.attrib.values() for name in _REFERENCE.findall(value)]
    href = element.get(_HREF, "")
    return [*references, href[1:]] if href.startswith("#") else references


def _attribute(name: str, value: str, ids: Mapping[str, str]) -> str:
    """An attribute as the page has it; what is text stays as it is."""
    if name == "id":
        return ids[value]
    if name == _HREF:
        return f"#{ids[value[1:]]}" if value.startswith("#") else value
    value = _REFERENCE.sub(lambda match: f"url(#{ids[match[1]]})", value)
    value = _DECIMALS.sub(lambda match: f"{float(match[0]):.1f}", value)
    value = _FONT.sub(r"font-size: \1px", value)
    for colour, variable in _VARIABLES.items():
        value = value.replace(colour, f"var({variable})")
    return value


def _flatten(element: ElementTree.Element) -> None:
    """Put the children of groups that say nothing in their places, and drop what is not drawn."""
    children: list[ElementTree.Element] = []
    for child in element:
        _flatten(child)
        if child.tag == f"{_SVG}g" and not child.attrib:
            children += child
        elif child.get("style") != "fill: none":
            children.append(child)
    element[:] = children
