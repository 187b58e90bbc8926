"""A probe in words, as the flag ``--probe`` takes it: ``liveness period=10 timeout=1``.

First the kind, then keys of an experiment file's ``[[probe]]`` with their values.
"""

from __future__ import annotations

import difflib
from typing import get_type_hints

from sim.errors import ExperimentError
from sim.experiment import PROBES, Probe
from sim.reading import word_pairs

#: How a probe is written; what is in brackets may be left out.
FORM = (
    "liveness | readiness | startup period=S [timeout=S] [failure_threshold=N] "
    "[success_threshold=N] [initial_delay=S] [termination_grace_period=S] [io=DIST] [cpu=DIST]"
)


def parse(text: str) -> Probe:
    """The probe that a text describes.

    Raises:
        ExperimentError: when it is not understood, or a value is out of range.
    """
    kind, *pairs = text.split() or [""]
    if kind not in PROBES:
        close = difflib.get_close_matches(kind, PROBES, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ExperimentError(f"kind is {kind!r}; {hint}expected one of {', '.join(PROBES)}")
    hints = {name: hint for name, hint in get_type_hints(Probe).items() if name != "kind"}
    values = word_pairs.parse(pairs, hints)
    if "period" not in values:
        raise ExperimentError(
            "there is no period; expected period=S (Kubernetes' own is period=10)"
        )
    return Probe(kind=kind, **values)
