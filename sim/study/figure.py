"""What every chart of a study needs: the library, and a figure that becomes the same text."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from sim.errors import ExperimentError


def refuse_without_matplotlib() -> None:
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


def svg_of(size: tuple[float, float], draw: Callable[[Any], None]) -> str:
    """What ``draw`` puts on a figure of that size in inches, as SVG; always the same text."""
    # Not pyplot, which keeps state of the process and asks for a display.
    from matplotlib import rc_context  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    # Text stays text, and names of elements do not depend on chance.
    # A name may have dollar signs, which is no mathematics.
    style: Any = {"svg.fonttype": "none", "svg.hashsalt": "gunicorn-sim", "text.parse_math": False}
    with rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
