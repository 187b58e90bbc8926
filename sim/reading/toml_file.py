"""Reading a TOML file strictly: every key known, every value of its field's type.

A dataclass is the schema: its field names are the keys of a table and its annotations the types.
`parse` and `sim.experiment.document.plain` are each other's inverse for all types that an
experiment is made of.
"""

from __future__ import annotations

import difflib
import reprlib
import tomllib
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sim.errors import ExperimentError
from sim.experiment.distribution import Distribution

#: Most bits of a whole number: about 4200 decimal digits, which Python still prints.
MOST_BITS = 14_000


def load(path: Path) -> dict[str, Any]:
    """The document in a TOML file.

    Raises:
        ExperimentError: when the file cannot be read or is not TOML.
    """
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ExperimentError(
            f"{path}: byte {error.start} is not UTF-8; expected a TOML file"
        ) from None
    except ValueError as error:  # TOMLDecodeError says line and column; int() its own limit.
        raise ExperimentError(f"{path}: is not TOML: {error}") from None
    except RecursionError:
        raise ExperimentError(f"{path}: is not TOML: nested too deeply") from None
    _refuse_large(document, path)
    return document


def _refuse_large(document: dict[str, Any], path: Path) -> None:
    """Refuse whole numbers so large that no message could have them (`int_max_str_digits`).

    TOML writes them with the digits of another base. Who reads a field refuses those beyond 64
    bits.

    Raises:
        ExperimentError: when there is one.
    """
    waiting: list[object] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise ExperimentError(
                f"{path}: is not TOML: a whole number takes {value.bit_length()} bits; expected 64 "
                "at most"
            )


def refuse_unknown(keys: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse the first of the keys ``keys`` that is not among those ``known``.

    Raises:
        ExperimentError: naming the key, the one that was perhaps meant, and all known ones.
    """
    names = list(known)
    for key in keys:
        if key not in names:
            close = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ExperimentError(
                f"{where} has an unknown key {key!r}; {hint}expected one of {', '.join(names)}"
            )


def refuse_missing(keys: Iterable[str], schema: type, where: str) -> None:
    """Refuse ``keys`` where a field of the dataclass ``schema`` without a default is not in it.

    Raises:
        ExperimentError: naming the first such key, and what it would hold.
    """
    hints = _hints(schema)
    for field in fields(schema):
        optional = field.default is not MISSING or field.default_factory is not MISSING
        if not optional and field.name not in keys:
            expected = _expected(hints[field.name])
            raise ExperimentError(f"{where} has no key {field.name!r}; expected {expected}")


def parse_table(table: object, schema: type, where: str) -> dict[str, Any]:
    """The values of a table, by the names of the fields of the dataclass ``schema``.

    Args:
        table: what the document holds in that place.
        schema: the dataclass that the table describes, wholly or in part.
        where: the file and the table, for messages.

    Raises:
        ExperimentError: when it is no table, or has an unknown key or a value of another type.
    """
    if not isinstance(table, Mapping):
        raise ExperimentError(f"{where} is {reprlib.repr(table)}; expected a table")
    hints = _hints(schema)
    refuse_unknown(table, hints, where)
    return {key: parse(value, hints[key], f"{where} {key}") for key, value in table.items()}


def parse(value: object, hint: Any, where: str) -> Any:  # noqa: ANN401 - a type is a value here
    """The ``value`` of a document as the type ``hint``; strict, but an int is a float.

    Raises:
        ExperimentError: when the value is of another type.
    """
    if get_origin(hint) in (
        Union,
        types.UnionType,
    ):  # An optional field: absent from the document, or set.
        hint = next(option for option in get_args(hint) if option is not types.NoneType)
    origin = get_origin(hint)
    if origin is tuple and isinstance(value, list):
        return _parse_tuple(value, get_args(hint), where)
    if origin is Literal and isinstance(value, str):
        return value  # The dataclass refuses a wrong one and lists the choices.
    if isinstance(hint, type):
        if hint is Distribution and isinstance(value, str):
            return _parse_distribution(value, where)
        if is_dataclass(hint) and isinstance(value, list):
            types_ = tuple(_hints(hint).values())
            # What has a default may be left out at the end, as the route of a trace's row.
            if _required(hint) <= len(value) <= len(types_):
                types_ = types_[: len(value)]
            return hint(*_parse_tuple(value, types_, where))
        if hint is float and type(value) is int and abs(value) < 2**1023:
            return float(value)
        if type(value) is hint:
            return value
    raise ExperimentError(f"{where} is {reprlib.repr(value)}; expected {_expected(hint)}")


@cache
def _hints(schema: type) -> Mapping[str, Any]:
    """The types of a dataclass's fields; Python compiles the text of each to find out."""
    return MappingProxyType(get_type_hints(schema))


@cache
def _required(schema: type[Any]) -> int:
    """The number of fields of a dataclass that have no default."""
    return sum(
        field.default is MISSING and field.default_factory is MISSING for field in fields(schema)
    )


def _parse_tuple(values: list[object], hints: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(values)
    if len(values) != len(hints):
        raise ExperimentError(
            f"{where} is a list of {len(values)}; expected a list of {len(hints)}"
        )
    return tuple(
        parse(value, hint, f"{where}[{place}]")
        for place, (value, hint) in enumerate(zip(values, hints, strict=True))
    )


def _parse_distribution(text: str, where: str) -> Distribution:
    try:
        return Distribution.parse(text)
    except ExperimentError as error:
        raise ExperimentError(f"{where}: {error}") from None


def _expected(hint: Any) -> str:  # noqa: ANN401 - a type is a value here
    """What a person would write for ``hint``."""
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}, in quotes"
    descriptions = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text in quotes",
        Distribution: "text in quotes such as 'exp:0.05'",
    }
    return descriptions.get(hint, "a list")
