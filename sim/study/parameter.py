"""What a study varies: fields of an experiment, as the flag ``--over`` names them.

Such as ``workers=1..8``, ``threads=1,2,4``, ``rate=50..200..25`` or ``io=exp:0.05,uniform:0,0.1``.
The name is that of a flag, or a table and a field such as ``costs.accept``. A range includes both
its ends, as far as the step meets them.
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from sim.errors import ExperimentError
from sim.experiment import Experiment, Server
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Signal
from sim.experiment.document import TABLES, plain
from sim.reading import experiment_file
from sim.reading.flags import FLAGS
from sim.reading.settings import named_worker_class
from sim.study.troubles import TROUBLE, troubled

#: One value of a parameter, as TOML and JSON can hold it.
Value = bool | int | float | str

#: One place in the space that a study looks at: values by the names of parameters, in the order
#: of the parameters. Whatever is not named is as in the base experiment.
Point = tuple[tuple[str, Value], ...]

#: Speed at which a trace is replayed: 2 halves the time between any two of its requests.
PACE = "pace"

#: s at which worker 1 is killed, and nothing else goes wrong.
KILL = "kill"

#: Values of one parameter, at most: a slip of the finger is not to cost a day.
MOST_VALUES = 1000

_RANGE = re.compile(r"(?P<low>[^.]+(?:\.\d+)?)\.\.(?P<high>[^.]*(?:\.\d+)?)(?:\.\.(?P<step>.+))?")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field that a study varies.

    Attributes:
        name: as in a `Point`.
        values: that it takes, in order; no two the same.
    """

    name: str
    values: tuple[Value, ...]


def parse(text: str) -> Parameter:
    """Read ``NAME=VALUE,VALUE,...`` or ``NAME=LOW..HIGH`` or ``NAME=LOW..HIGH..STEP``.

    Raises:
        ExperimentError: when it is not understood, or names nothing that can be varied.
    """
    name, equals, rest = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not rest.strip():
        raise ExperimentError(
            f"{text!r} has no values; expected NAME=VALUES, as in workers=1..8 or threads=1,2,4"
        )
    if name not in KNOWN:
        close = difflib.get_close_matches(name, KNOWN, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        short = ", ".join(known for known in KNOWN if "." not in known)
        raise ExperimentError(f"{name!r} is no parameter; {hint}expected one of {short}")
    values = tuple(itertools.chain.from_iterable(_values(name, part) for part in _parts(rest)))
    if len(values) > MOST_VALUES:
        raise ExperimentError(f"{name} has {len(values)} values; expected at most {MOST_VALUES}")
    for value in values:
        if values.count(value) > 1:
            raise ExperimentError(f"{name} has the value {value!r} twice; expected each once")
    return Parameter(name, values)


def points(parameters: tuple[Parameter, ...]) -> list[Point]:
    """Every combination of values, the last parameter varying first."""
    return [
        tuple(zip((parameter.name for parameter in parameters), values, strict=True))
        for values in itertools.product(*(parameter.values for parameter in parameters))
    ]


def at(base: Experiment, point: Point) -> Experiment:
    """The experiment at one ``point`` of a space around ``base``.

    Raises:
        ExperimentError: when a value is out of range there.
    """
    document: dict[str, Any] = {}
    for name, value in point:
        if name == PACE:
            base = _paced(base, float(value))
        elif name == KILL:
            base = replace(base, disturbances=(Signal(float(value), "KILL"),))
        elif name == TROUBLE:
            base = troubled(base, str(value))
        else:
            table, field = KNOWN[name]
            document.setdefault(table, {})[field] = value
    return experiment_file.from_dict(document, describe(point), base)


def describe(point: Point) -> str:
    """The point as a person would write it."""
    return ", ".join(f"{name} = {formatted(value)}" for name, value in point)


def formatted(value: Value) -> str:
    """One value as a person would write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _paced(base: Experiment, pace: float) -> Experiment:
    if not math.isfinite(pace) or pace <= 0:
        raise ExperimentError(f"{PACE} is {pace}; expected a finite number > 0")
    if base.traffic.arrivals != "trace":
        raise ExperimentError(
            f"{PACE} is given, but arrivals is {base.traffic.arrivals!r}; expected a trace"
        )
    rows = tuple(replace(row, arrival_s=row.arrival_s / pace) for row in base.traffic.trace)
    return replace(base, traffic=replace(base.traffic, trace=rows))


def _known() -> dict[str, tuple[str, str]]:
    """The table and field of each name: Gunicorn's settings, our flags, and any other field."""
    known = {name: ("server", name) for name in get_type_hints(Server)}
    for flag in FLAGS:
        if flag.table:  # Seeds and replications are how often to look, not what at.
            known[flag.name.removeprefix("--").replace("-", "_")] = (flag.table, flag.field)
    known[PACE] = ("traffic", "trace")
    for table, schema in TABLES.items():
        for field in get_type_hints(schema):
            known[f"{table}.{field}"] = (table, field)
    return known


#: Table and field by name.
KNOWN: Mapping[str, tuple[str, str]] = _known()


def _kind(name: str) -> Any:  # noqa: ANN401 - a type is a value here
    table, field = KNOWN[name]
    hint = float if name == PACE else get_type_hints(TABLES[table])[field]
    # An optional field: what it is when it is set.
    options = [option for option in get_args(hint) if option is not type(None)]
    return options[0] if options and get_origin(hint) is not Literal else hint


def _parts(text: str) -> list[str]:
    """The values that commas part; not those inside of ``uniform:0,0.1``."""
    parts: list[str] = []
    for part in text.split(","):
        if parts and ":" in parts[-1] and ":" not in part:
            parts[-1] += f",{part.strip()}"
        else:
            parts.append(part.strip())
    return parts


def _values(name: str, text: str) -> list[Value]:
    kind = _kind(name)
    if ".." in text and kind in (int, float):
        return _range(name, text, kind)
    return [_value(name, text, kind)]


def _value(name: str, text: str, kind: Any) -> Value:  # noqa: ANN401 - a type is a value here
    if kind is bool:
        if text.lower() not in ("true", "false", "yes", "no"):
            raise ExperimentError(f"{name} is {text!r}; expected true or false")
        return text.lower() in ("true", "yes")
    if kind is Distribution:
        return str(plain(_distribution(name, text)))
    if KNOWN[name] == ("server", "worker_class"):
        return named_worker_class(text)
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            expected = ", ".join(get_args(kind))
            raise ExperimentError(f"{name} is {text!r}; expected one of {expected}")
        return text
    if kind not in (int, float):
        raise ExperimentError(f"{name} cannot be varied; expected a number, a choice or a time")
    return _number(name, text, kind)


def _distribution(name: str, text: str) -> Distribution:
    try:
        return Distribution.parse(text)
    except ExperimentError as error:
        raise ExperimentError(f"{name}: {error}") from None


def _number(name: str, text: str, kind: type[int | float]) -> int | float:
    try:
        value = kind(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise ExperimentError(f"{name} is {text!r}; expected {expected}") from None
    if not math.isfinite(value):
        raise ExperimentError(f"{name} is {text!r}; expected a finite number")
    return value


def _range(name: str, text: str, kind: type[int | float]) -> list[Value]:
    match = _RANGE.fullmatch(text)
    if match is None or not match["high"]:
        raise ExperimentError(f"{name} is {text!r}; expected LOW..HIGH or LOW..HIGH..STEP")
    low, high = (_number(name, match[end], kind) for end in ("low", "high"))
    step = _number(name, match["step"], kind) if match["step"] else kind(1)
    if step <= 0 or high < low:
        raise ExperimentError(
            f"{name} is {text!r}; expected a range from low to high with a step above 0"
        )
    # A step that meets the end but for a rounding error does meet it.
    count = math.floor((high - low) / step + 1e-9) + 1
    if count > MOST_VALUES:
        raise ExperimentError(f"{name} has {count} values; expected at most {MOST_VALUES}")
    # Twelve digits: 0.1 + 2 x 0.1 is 0.3 to people.
    return [kind(float(f"{low + number * step:.12g}")) for number in range(count)]
