"""The costs file of a host: TOML with ``[costs]`` and ``[memory]``."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Final, NamedTuple

from sim.errors import ExperimentError
from sim.experiment.costs import Costs
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.release import KNOWN, NEWEST
from sim.experiment.release_defaults import default_costs, default_memory
from sim.experiment.worker_class import WORKER_CLASSES
from sim.reading import toml_file


class CostsFile(NamedTuple):
    """A costs file: its tables, and what stands above them.

    Attributes:
        costs: of the steps.
        memory: of the processes.
        gunicorn: the release that they were measured with; None where the file does not say.
        machine: that they were measured on, in words; None where the file does not say.
        worker_class: that they were measured with; None where the file does not say.
    """

    costs: Costs
    memory: MemoryCosts
    gunicorn: str | None = None
    machine: str | None = None
    worker_class: str | None = None


#: What stands above the tables, and what is in them.
_TOP: Final = ("gunicorn", "worker_class", "machine")
_TABLES: Final = ("costs", "memory")


def read(path: Path, base: CostsFile | None = None) -> CostsFile:
    """Read a costs file.

    Args:
        path: a TOML file whose ``[costs]`` has fields of `Costs` as keys, each in s unless
            `Costs` says otherwise, and whose ``[memory]`` has fields of `MemoryCosts`, in bytes.
        base: what holds for the keys that the file leaves out; the defaults, if None.

    Raises:
        ExperimentError: when the file cannot be read or understood, or a cost is out of range.
    """
    document = toml_file.load(path)
    toml_file.refuse_unknown(document, CostsFile._fields, str(path))
    if not any(table in document for table in _TABLES):
        raise ExperimentError(
            f"{path}: has neither a table [costs] nor [memory]; expected one of them"
        )
    top = {name: document.get(name) for name in _TOP}
    for name, value in top.items():
        if not isinstance(value, str | None):
            raise ExperimentError(f"{path}: {name} is {value!r}; expected text")
    number = top["gunicorn"]
    if number is not None and number not in KNOWN:
        raise ExperimentError(
            f"{path}: gunicorn is {number!r}; expected one of the releases that the model knows: "
            f"{', '.join(KNOWN)}"
        )
    worker_class = top["worker_class"]
    if worker_class is not None and worker_class not in WORKER_CLASSES:
        raise ExperimentError(
            f"{path}: worker_class is {worker_class!r}; expected one of {', '.join(WORKER_CLASSES)}"
        )
    of = worker_class or "gthread"
    base = base or CostsFile(default_costs(number or NEWEST, of), default_memory(of))
    costs, memory = (
        toml_file.parse_table(document.get(table, {}), type(values), f"{path}: [{table}]")
        for table, values in (("costs", base.costs), ("memory", base.memory))
    )
    try:
        return CostsFile(replace(base.costs, **costs), replace(base.memory, **memory), **top)
    except ExperimentError as error:
        raise ExperimentError(f"{path}: {error}") from None


def text(host: CostsFile, about: Iterable[str], notes: Mapping[str, str]) -> str:
    """A costs file as `read` reads it, with a comment above each cost.

    Args:
        host: what to write.
        about: lines of the comment at its head, one a paragraph.
        notes: what to add to the comment of a cost, by its name.
    """
    lines = [line for paragraph in about for line in _comment(paragraph)]
    top = {name: getattr(host, name) for name in _TOP}
    lines += [""] if any(top.values()) else []
    # JSON's strings are TOML's.
    lines += [f"{name} = {json.dumps(value)}" for name, value in top.items() if value]
    tables: tuple[tuple[str, Costs | MemoryCosts], ...]
    tables = (("costs", host.costs), ("memory", host.memory))
    for table, values in tables:
        lines += ["", f"[{table}]"]
        meanings = _meanings(type(values))
        for field in fields(values):
            note = f" {notes[field.name]}" if field.name in notes else ""
            lines += ["", *_comment(meanings[field.name] + note)]
            lines.append(f"{field.name} = {_number(table, getattr(values, field.name))}")
    return "\n".join(lines) + "\n"


def _number(table: str, value: float) -> str:
    # Parts of a byte, and nanoseconds, are below anything that was measured.
    return f"{value:_.0f}" if table == "memory" else repr(round(value, 9))


def _comment(paragraph: str) -> list[str]:
    return textwrap.wrap(paragraph, 98, initial_indent="# ", subsequent_indent="# ") or ["#"]


def _meanings(schema: type) -> dict[str, str]:
    """What the docstring of ``schema`` says of each of its fields."""
    _, _, attributes = inspect.cleandoc(schema.__doc__ or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", attributes, re.MULTILINE)
    sentences = ((name, " ".join(meaning.split()).replace("``", "`")) for name, meaning in entries)
    return {
        # A sentence may begin with a unit, which has no capital.
        name: sentence if sentence.startswith("s ") else f"{sentence[0].upper()}{sentence[1:]}"
        for name, sentence in sentences
    }
