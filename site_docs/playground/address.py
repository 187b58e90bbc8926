"""Addresses of the playground: a command line in a link, as ``flags.ts`` reads it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from urllib.parse import quote

from site_docs.playground import in_page

#: The page, from the root of the site.
PAGE = "playground/"

#: What has no meaning behind ``#``, and stays as it is.
PLAIN = ":,/;"


def address(flags: Sequence[str], other: Sequence[str] | None = None) -> str:
    """The address, from the root of the site, at which the page begins with these flags.

    Args:
        flags: those of ``python -m sim``, with their values.
        other: those of the server to compare with.

    Raises:
        ValueError: when a word is no flag, or its value is missing.
    """
    b = [] if other is None else ["B", *_parts(other)]
    return f"{PAGE}#{'&'.join([*_parts(flags), *b])}"


def _parts(flags: Sequence[str]) -> list[str]:
    rest = iter(flags)
    parts = []
    for word in rest:
        name, equals, value = word.partition("=")
        flag, takes_value = _flag(name)
        if takes_value and not equals:
            following = next(rest, None)
            if following is None:
                raise ValueError(f"{word} is the last word; expected its value after it")
            value = following
        part = flag.lstrip("-")
        if takes_value:
            part += "=" + quote(value, safe=PLAIN + " ").replace(" ", "+")
        parts.append(part)
    return parts


def _flag(name: str) -> tuple[str, bool]:
    """The long name of a flag, and whether it takes a value."""
    known = _known().get(name)
    if known is None:
        raise ValueError(f"{name!r} is no flag; expected flags of python -m sim and their values")
    return known


@cache
def _known() -> dict[str, tuple[str, bool]]:
    known = {}
    for action in in_page.parser()._actions:
        names = action.option_strings
        long = next((name for name in names if name.startswith("--")), None)
        for name in names:
            known[name] = (long or name, action.nargs != 0)
    return known
