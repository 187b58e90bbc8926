"""The rows of a validation: JSON lines, a header and then one line for each cell that was run.

The schema, with a description of every key, is ``sim/schema/validation.schema.json``. A row holds
what every repeat measured and every variant predicted, so that whoever reads it can compute errors
and spreads anew; the file is written line by line and may end anywhere.
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

SCHEMA = "gunicorn-validation/1"

#: Value of each figure of `sim.comparison`, by name.
Values = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Header:
    """What all rows of a file have in common.

    Attributes:
        begun: when the first cell was, ISO 8601.
        machine: that was measured, and predicted: ``cores``, ``processor``, ``system``.
        versions: of Python and of the packages that matter.
        repeats: how often each cell is measured.
        variants: how often it is predicted.
        costs: of the predictions, as in an experiment's table ``[costs]``.
    """

    begun: str
    machine: dict[str, Any]
    versions: dict[str, str]
    repeats: int
    variants: int
    costs: dict[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One cell.

    Attributes:
        cell: its number in `sim.validation_grid.sample`, from 1.
        name: of the cell.
        measured: when it was, ISO 8601.
        experiment: as `sim.experiment_file.to_dict` writes it.
        repeats: what each measured.
        outcomes: how many requests of each repeat had which outcome.
        others: cores that were busy with anything else during each repeat, the mean.
        variants: what each predicted.
        ideal: what one ideal shared queue makes of the same requests.
    """

    cell: int
    name: str
    measured: str
    experiment: dict[str, Any]
    repeats: list[Values]
    outcomes: list[dict[str, int]]
    others: list[float]
    variants: list[Values]
    ideal: Values


def read(path: Path) -> tuple[Header, list[Row]]:
    """Read a file; a last line that is not whole is left out.

    Raises:
        ExperimentError: when the file cannot be read, or is of another schema.
    """
    header, rows, _ = _parse(path)
    return header, rows


def resume(path: Path, header: Header) -> list[Row]:
    """Make the file ready for `append`, and return the rows that it has already.

    A file that is not there, or holds no whole line, is begun with ``header``. From one that is,
    a last line that was cut off is removed.

    Raises:
        ExperimentError: when the file is of another schema, or its header says anything else than
            ``header`` but for the date: rows of different kinds do not belong into one table.
    """
    if not path.exists() or b"\n" not in _bytes(path):
        write(path, header, ())
        return []
    found, rows, end = _parse(path)
    theirs, ours = asdict(found), asdict(header)
    for key in ours:
        if key != "begun" and theirs[key] != ours[key]:
            raise ExperimentError(
                f"{path}: its {key} is {_differences(theirs[key], ours[key])}; expected a file of "
                "this machine, these versions and flags, or a new one"
            )
    os.truncate(path, end)
    return rows


def append(path: Path, row: Row) -> None:
    """Add a row at the end, all of it at once.

    Raises:
        ExperimentError: when it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(_line(asdict(row)))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be written ({error.strerror})") from None


def write(path: Path, header: Header, rows: Iterable[Row]) -> None:
    """Write a whole file; it appears whole or not at all.

    Raises:
        ExperimentError: when it cannot be written.
    """
    records = ({"schema": SCHEMA, **asdict(header)}, *(asdict(row) for row in rows))
    with whole_file(path) as file:
        file.writelines(map(_line, records))


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, allow_nan=False) + "\n"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read ({error.strerror})") from None


def _parse(path: Path) -> tuple[Header, list[Row], int]:
    """Header, rows, and where the last whole line ends."""
    content = _bytes(path)
    end = content.rfind(b"\n") + 1
    header: Header | None = None
    rows: list[Row] = []
    for number, line in enumerate(content[:end].splitlines(), start=1):
        try:
            record = json.loads(line)
            if header is None:
                header = _header(record)
            else:
                rows.append(Row(**record))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise ExperimentError(
                f"{path}: line {number} is not of a {SCHEMA} file ({error})"
            ) from None
    if header is None:
        raise ExperimentError(f"{path}: has no whole line; expected a {SCHEMA} file")
    return header, rows, end


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
