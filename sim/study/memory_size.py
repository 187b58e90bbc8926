"""An amount of memory, as the flag ``--memory`` takes it: ``1GB``, ``512MiB``."""

from __future__ import annotations

import math
import re

from sim.errors import ExperimentError

#: bytes of each unit; Kubernetes writes Mi and Gi.
UNITS = {
    "b": 1,
    "kb": 1e3,
    "mb": 1e6,
    "gb": 1e9,
    "tb": 1e12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
}

_SYNTAX = re.compile(r"(?P<number>[\d.]+(?:e\d+)?)\s*(?P<unit>[a-z]+)")


def parse(text: str) -> float:
    """Bytes of a number with its unit.

    Raises:
        ExperimentError: when it is not understood.
    """
    match = _SYNTAX.fullmatch(text.strip().lower())
    try:
        amount = float(match["number"]) * UNITS[match["unit"]] if match is not None else math.nan
    except (ValueError, KeyError):
        amount = math.nan
    if not 0 < amount < math.inf:
        raise ExperimentError(f"memory is {text!r}; expected an amount such as 1GB or 512MiB")
    return amount
