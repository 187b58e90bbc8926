"""A disturbance in words, as the flag ``--disturb`` takes it: ``10 signal KILL worker 1``.

First the time in s, then the kind, then what `FORMS` says of that kind; what is in brackets may be
left out. The words are the keys of an experiment file's ``[[disturbance]]``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from sim.errors import ExperimentError
from sim.experiment.disturbance import KINDS, Disturbance

#: How each of `sim.experiment.disturbance.KINDS` is written.
FORMS: dict[str, str] = {
    "signal": "AT signal NAME [master | worker N | all]",
    "crash": "AT crash [worker N]",
    "hang": "AT hang [worker N] [threads N] [seconds S]",
    "boot_error": "AT boot_error [exit_code 3 | 4]",
    "launchdarkly": "AT launchdarkly [reachable | unreachable] [latency S]",
    "traffic": "AT traffic rate PER_S",
    "rollout": "AT rollout [pre_stop S] [endpoints S] [termination_grace_period S]",
}

#: Words that stand alone, by kind: the fields that each sets.
ALONE: dict[str, dict[str, dict[str, Any]]] = {
    "signal": {"master": {"to": "master"}, "all": {"to": "all"}},
    "launchdarkly": {"reachable": {"reachable": True}, "unreachable": {"reachable": False}},
}

#: Words that a number follows, by kind: the number's type. The word is the name of the field.
NUMBERS: dict[str, dict[str, type[int | float]]] = {
    "signal": {"worker": int},
    "crash": {"worker": int},
    "hang": {"worker": int, "threads": int, "seconds": float},
    "boot_error": {"exit_code": int},
    "launchdarkly": {"latency": float},
    "traffic": {"rate": float},
    "rollout": {"pre_stop": float, "endpoints": float, "termination_grace_period": float},
}


def parse(text: str) -> Disturbance:
    """The disturbance that a text describes.

    Raises:
        ExperimentError: when it is not understood, or a value is out of range.
    """
    parts = iter(text.split())
    at, kind = next(parts, None), next(parts, None)
    if at is None or kind is None:
        raise ExperimentError("expected a time in s and a kind, as in '10 signal KILL worker 1'")
    if kind not in KINDS:
        close = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ExperimentError(f"kind is {kind!r}; {hint}expected one of {', '.join(KINDS)}")
    values: dict[str, Any] = {"at": _number("at", at, float)}
    if kind == "signal" and (name := next(parts, None)) is not None:
        values["signal"] = name
    for word in parts:
        setting = _fields_of(kind, word, parts)
        if setting.keys() & values.keys():
            raise ExperimentError(f"{word!r} is one too many; expected {FORMS[kind]!r}")
        values |= setting
    schema = KINDS[kind]
    for field in fields(schema):
        if field.default is MISSING and field.name not in values:
            raise ExperimentError(f"there is no {field.name}; expected {FORMS[kind]!r}")
    return schema(**values)


def _fields_of(kind: str, word: str, following: Iterator[str]) -> dict[str, Any]:
    """What a word, and the number that follows it, say: values by the names of their fields."""
    if word in ALONE.get(kind, {}):
        return ALONE[kind][word]
    if word not in NUMBERS[kind]:
        raise ExperimentError(f"{word!r} is not understood; expected {FORMS[kind]!r}")
    number = next(following, None)
    if number is None:
        raise ExperimentError(f"there is no number after {word!r}; expected {FORMS[kind]!r}")
    value = _number(word, number, NUMBERS[kind][word])
    return {"to": "worker", word: value} if kind == "signal" else {word: value}


def _number(name: str, text: str, kind: type[int | float]) -> float:
    try:
        return kind(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise ExperimentError(f"{name} is {text!r}; expected {expected}") from None
