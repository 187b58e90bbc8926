"""Pairs such as ``period=10 timeout=1``: fields of a dataclass, as flags take them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from sim.errors import ExperimentError
from sim.experiment.distribution import SYNTAX, Distribution

_EXPECTED: dict[type, str] = {int: "a whole number", float: "a number", Distribution: SYNTAX}


def parse(pairs: Iterable[str], hints: Mapping[str, type]) -> dict[str, Any]:
    """The values of ``KEY=VALUE`` words.

    Args:
        pairs: the words.
        hints: the type of each key: `int`, `float`, `str` or `Distribution`.

    Raises:
        ExperimentError: when a key is unknown or given twice, or a value is not of its type.
    """
    values: dict[str, Any] = {}
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
    return values


def _value(key: str, text: str, kind: type) -> Any:  # noqa: ANN401 - of the type `kind`
    try:
        return Distribution.parse(text) if kind is Distribution else kind(text)
    except ExperimentError as error:
        raise ExperimentError(f"{key}: {error}") from None
    except ValueError:
        raise ExperimentError(f"{key} is {text!r}; expected {_EXPECTED[kind]}") from None
