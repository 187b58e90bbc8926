"""A route in words, as the flag ``--route`` takes it: ``/report share=.05 io=exp:1.2``.

First the name, then keys of an experiment file's ``[[traffic.route]]`` with their values.
"""

from __future__ import annotations

from sim.errors import ExperimentError
from sim.experiment import Route
from sim.experiment.distribution import Distribution
from sim.reading import word_pairs

#: How a route is written; what is in brackets may be left out.
FORM = "NAME share=PART [io=DIST] [cpu=DIST] [endpoint=async|def] [blocking_io=PART]"

_HINTS: dict[str, type] = {
    "share": float,
    "io": Distribution,
    "cpu": Distribution,
    "endpoint": str,
    "blocking_io": float,
}


def parse(text: str) -> Route:
    """The route that a text describes.

    Raises:
        ExperimentError: when it is not understood, or a value is out of range.
    """
    name, *pairs = text.split() or [""]
    if not name or "share" in name.partition("=")[0::2]:
        raise ExperimentError(f"there is no name; expected '{FORM}'")
    values = word_pairs.parse(pairs, _HINTS)
    if "share" not in values:
        raise ExperimentError(f"there is no share; expected '{FORM}'")
    return Route(name=name, **values)
