"""A probe in words, as the flag ``--probe`` takes it: ``liveness period=10 timeout=1``.

First the kind, then keys of an experiment file's ``[[probe]]`` with their values.
"""

from __future__ import annotations

import difflib
from typing import Any, get_type_hints

from sim.errors import ExperimentError
from sim.experiment import PROBES, Probe
from sim.experiment.distribution import SYNTAX, Distribution

#: How a probe is written; what is in brackets may be left out.
FORM = (
    "liveness | readiness | startup [period=S] [timeout=S] [failure_threshold=N] "
    "[success_threshold=N] [initial_delay=S] [termination_grace_period=S] [io=DIST] [cpu=DIST]"
)

_EXPECTED: dict[type, str] = {int: "a whole number", float: "a number", Distribution: SYNTAX}


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
    values: dict[str, Any] = {"kind": kind}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ExperimentError(f"{key!r} is unknown; {hint}expected one of {', '.join(hints)}")
        if key in values:
            raise ExperimentError(f"{key!r} is given twice; expected it once")
        if not equals:
            raise ExperimentError(f"{pair!r} has no value; expected {key}=VALUE")
        values[key] = _value(key, value, hints[key])
    return Probe(**values)


def _value(key: str, text: str, kind: type) -> Any:  # noqa: ANN401 - of the type `kind`
    try:
        return Distribution.parse(text) if kind is Distribution else kind(text)
    except ExperimentError as error:
        raise ExperimentError(f"{key}: {error}") from None
    except ValueError:
        raise ExperimentError(f"{key} is {text!r}; expected {_EXPECTED[kind]}") from None
