"""A page as one HTML file: the template, its style sheet, and the charts as SVG in it.

It needs the extra ``report``: Jinja2, which escapes all text, and Matplotlib.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sim.reports.html.chart import drawable
from sim.reports.html.drawing import draw
from sim.reports.html.page import Page
from sim.whole_file import whole_file

HERE = Path(__file__).parent


def write(page: Page, path: Path) -> None:
    """Write a page to a file, which appears whole or not at all.

    Raises:
        ExperimentError: when it cannot be written.
    """
    text = html(page)
    with whole_file(path) as file:
        file.write(text)


def html(page: Page) -> str:
    """The page as HTML; the same page gives the same text."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(drawn=draw, exactly=repr)
    return environment.get_template("report.html.jinja").render(
        page=page,
        style=(HERE / "report.css").read_text(encoding="utf-8"),
        generator=f"gunicorn-sim {version('gunicorn-sim')}",
    )


def _finalized(value: Any) -> Any:  # noqa: ANN401 - of any expression
    """Text without the characters that neither HTML nor a UTF-8 file can hold."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return drawable(value)
    return value
