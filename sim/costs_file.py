"""A file of what the steps of a request cost on one host: TOML with one table, ``[costs]``."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path

from sim import toml_file
from sim.costs import Costs
from sim.errors import ExperimentError


def read(path: Path, base: Costs | None = None) -> Costs:
    """Read a costs file.

    Args:
        path: a TOML file whose ``[costs]`` has fields of `Costs` as keys, each in s unless
            `Costs` says otherwise.
        base: what holds for the keys that the file leaves out; the defaults, if None.

    Raises:
        ExperimentError: when the file cannot be read or understood, or a cost is out of range.
    """
    document = toml_file.load(path)
    toml_file.refuse_unknown(document, ("costs",), str(path))
    if "costs" not in document:
        raise ExperimentError(f"{path}: has no table [costs]; expected one")
    values = toml_file.parse_table(document["costs"], Costs, f"{path}: [costs]")
    try:
        return replace(base or Costs(), **values)
    except ExperimentError as error:
        raise ExperimentError(f"{path}: {error}") from None


def text(costs: Costs, about: Iterable[str], notes: Mapping[str, str]) -> str:
    """A costs file as `read` reads it, with a comment above each cost.

    Args:
        costs: to write.
        about: lines of the comment at its head, one a paragraph.
        notes: what to add to the comment of a cost, by its name.
    """
    lines = [line for paragraph in about for line in _comment(paragraph)]
    lines += ["", "[costs]"]
    meanings = _meanings()
    for field in fields(costs):
        note = f" {notes[field.name]}" if field.name in notes else ""
        lines += ["", *_comment(meanings[field.name] + note)]
        # Nanoseconds are below anything that was measured.
        lines.append(f"{field.name} = {round(getattr(costs, field.name), 9)!r}")
    return "\n".join(lines) + "\n"


def _comment(paragraph: str) -> list[str]:
    return textwrap.wrap(paragraph, 98, initial_indent="# ", subsequent_indent="# ") or ["#"]


def _meanings() -> dict[str, str]:
    """What the docstring of `Costs` says of each of its fields."""
    _, _, attributes = inspect.cleandoc(Costs.__doc__ or "").partition("Attributes:\n")
    found = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", attributes, re.MULTILINE)
    sentences = ((name, " ".join(meaning.split()).replace("``", "`")) for name, meaning in found)
    return {name: f"{sentence[0].upper()}{sentence[1:]}" for name, sentence in sentences}
