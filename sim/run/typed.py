"""Values of a JSON document as an object whose fields have types."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Typed = TypeVar("Typed")


def typed(kind: type[Typed], values: object) -> Typed:
    """A named tuple or dataclass of ``values``, each of which is of its field's type.

    Of a list or a table, what is in it is not looked at.

    Raises:
        TypeError: when they are no table, or one of them is of another type, missing or unknown.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"{kind.__name__} is of {type(values).__name__}; expected a table")
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name in hints and not isinstance(value, _types(hints[name])):
            raise TypeError(f"{name} is of {type(value).__name__}; expected {hints[name]}")
    return kind(**values)


def _types(hint: Any) -> tuple[type, ...]:  # noqa: ANN401 - a type is a value here
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    types = tuple(get_origin(option) or option for option in options)
    # JSON writes 1.0 as it likes.
    return (*types, int) if float in types else types
