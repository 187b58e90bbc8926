"""The looks of a validation: JSON lines, a header and then one line for each run of a cell.

The schema, with a description of every key, is ``sim/reports/schema/validation.schema.json``. A
look holds what one run measured, and what every variant predicted of it just before, so that
whoever reads it can compute errors and spreads anew; the file is written line by line and may end
anywhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sim.errors import ExperimentError
from sim.whole_file import whole_file

SCHEMA = "gunicorn-validation/2"

#: Value of each figure of `sim.validation.comparison`, by name.
Values = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Header:
    """What all looks of a file have in common.

    Attributes:
        begun: when the first cell was, ISO 8601.
        machine: that was measured, and predicted: ``cores``, ``processor``, ``system``.
        versions: of Python and of the packages that matter.
        repeats: how often each cell is measured at least.
        variants: how often it is predicted for each of those.
        predicted: when all looks were predicted anew, ISO 8601; None where each was predicted just
            before it was measured.
    """

    begun: str
    machine: dict[str, Any]
    versions: dict[str, str]
    repeats: int
    variants: int
    predicted: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One run of a cell.

    Attributes:
        cell: its number in `sim.validation.grid.sample`, from 1.
        name: of the cell.
        measured: when it was, ISO 8601.
        experiment: as `sim.experiment.document.to_dict` writes it, with the costs of the
            predictions.
        values: what was measured.
        outcomes: how many requests had which outcome.
        others: cores that were busy with anything else meanwhile, the mean.
        variants: what each predicted.
        ideal: what one ideal shared queue makes of the same requests.
    """

    cell: int
    name: str
    measured: str
    experiment: dict[str, Any]
    values: Values
    outcomes: dict[str, int]
    others: float
    variants: list[Values]
    ideal: Values


@dataclass(frozen=True, slots=True)
class Row:
    """One cell.

    Attributes:
        looks: at it, at least one, the first first.
    """

    looks: tuple[Look, ...]

    @property
    def cell(self) -> int:
        """Its number."""
        return self.looks[0].cell

    @property
    def name(self) -> str:
        """Of the cell."""
        return self.looks[0].name

    @property
    def repeats(self) -> list[Values]:
        """What each look measured."""
        return [look.values for look in self.looks]

    @property
    def variants(self) -> list[Values]:
        """What was predicted, with the costs of every look."""
        return [values for look in self.looks for values in look.variants]


def rows_of(looks: Iterable[Look]) -> list[Row]:
    """The looks by cell, in the order in which the cells were first looked at."""
    by_cell: dict[int, list[Look]] = {}
    for look in looks:
        by_cell.setdefault(look.cell, []).append(look)
    return [Row(tuple(found)) for found in by_cell.values()]


def read(path: Path) -> tuple[Header, list[Look]]:
    """Read a file; a last line that is not whole is left out.

    Raises:
        ExperimentError: when the file cannot be read, or is of another schema.
    """
    header, looks, _ = _parse(path)
    return header, looks


def resume(path: Path, header: Header) -> list[Look]:
    """Make the file ready for `append`, and return the looks that it has already.

    A file that is not there, or holds no whole line, is begun with ``header``. From one that is,
    a last line that was cut off is removed.

    Raises:
        ExperimentError: when the file is of another schema, or its header says anything else than
            ``header`` but for the dates: looks of different kinds do not belong into one table.
    """
    if not path.exists() or b"\n" not in _bytes(path):
        write(path, header, ())
        return []
    found, looks, end = _parse(path)
    theirs, ours = asdict(found), asdict(header)
    for key in ours:
        if key not in {"begun", "predicted"} and theirs[key] != ours[key]:
            raise ExperimentError(
                f"{path}: its {key} is {_differences(theirs[key], ours[key])}; expected a file of "
                "this machine, these versions and flags, or a new one"
            )
    os.truncate(path, end)
    return looks


def append(path: Path, look: Look) -> None:
    """Add a look at the end, all of it at once.

    Raises:
        ExperimentError: when it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(_line(asdict(look)))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be written ({error.strerror})") from None


def write(path: Path, header: Header, looks: Iterable[Look]) -> None:
    """Write a whole file; it appears whole or not at all.

    Raises:
        ExperimentError: when it cannot be written.
    """
    records = ({"schema": SCHEMA, **asdict(header)}, *(asdict(look) for look in looks))
    with whole_file(path) as file:
        file.writelines(map(_line, records))


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, allow_nan=False) + "\n"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read ({error.strerror})") from None


def _parse(path: Path) -> tuple[Header, list[Look], int]:
    """Header, looks, and where the last whole line ends."""
    content = _bytes(path)
    end = content.rfind(b"\n") + 1
    header: Header | None = None
    looks: list[Look] = []
    for number, line in enumerate(content[:end].splitlines(), start=1):
        try:
            record = json.loads(line)
            if header is None:
                header = _header(record)
            else:
                looks.append(Look(**record))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise ExperimentError(
                f"{path}: line {number} is not of a {SCHEMA} file ({error})"
            ) from None
    if header is None:
        raise ExperimentError(f"{path}: has no whole line; expected a {SCHEMA} file")
    return header, looks, end


def _header(record: dict[str, Any]) -> Header:
    if record["schema"] != SCHEMA:
        raise ValueError(f"schema is {record['schema']!r}")
    return Header(**{key: value for key, value in record.items() if key != "schema"})


def _differences(theirs: object, ours: object) -> str:
    """What differs, in words: of tables only the keys that do."""
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return f"{theirs!r}, not {ours!r}"
    keys = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
    return ", ".join(f"{key} {theirs.get(key)!r}, not {ours.get(key)!r}" for key in keys)
