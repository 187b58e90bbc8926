"""The file of a validation: JSON lines, a header and then one line for each run of a cell.

The schema, with a description of every key, is ``sim/reports/schema/validation.schema.json``. A
line holds what one run measured and what every variant predicted for it, so that errors and spreads
can be computed again. The file is written line by line and may end anywhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sim.errors import ExperimentError
from sim.run.typed import typed
from sim.whole_file import unwritable, whole_file

SCHEMA = "gunicorn-validation/2"

#: Value of each figure of `sim.validation.comparison`, by name.
Values = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Header:
    """What all measurements of a file have in common.

    Attributes:
        begun: when the first cell was, ISO 8601.
        machine: that was measured, and predicted: ``cores``, ``processor``, ``system``.
        versions: of Python and of the packages that matter; ``gunicorn`` is the release that ran;
            ``nginx`` is there if one stood in front, ``cgroup`` if that limited the CPU.
        repeats: how often each cell is measured at least.
        variants: how often it is predicted for each of those.
        predicted: when all were predicted again, ISO 8601; None where each was predicted just
            before it was measured.
        model: commit of the code that predicted; None where it is not known.
        worker_class: whose grid it is; None for a grid of several classes.
        sample: seed of the grid's sample.
    """

    begun: str
    machine: dict[str, Any]
    versions: dict[str, str]
    repeats: int
    variants: int
    predicted: str | None = None
    model: str | None = None
    worker_class: str | None = None
    sample: int = 1

    @property
    def nginx(self) -> bool:
        """Whether a real nginx stood in front of the server."""
        return "nginx" in self.versions

    @property
    def one_core(self) -> bool:
        """Whether the server was kept on one core, and its clients on others."""
        return "server" in self.machine

    @property
    def cpu_limited(self) -> bool:
        """Whether a cgroup limited the server's CPU."""
        return "cgroup" in self.versions


@dataclass(frozen=True, slots=True)
class Measurement:
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
        measurements: its runs in order, at least one.
    """

    measurements: tuple[Measurement, ...]

    @property
    def cell(self) -> int:
        """Its number."""
        return self.measurements[0].cell

    @property
    def name(self) -> str:
        """Of the cell."""
        return self.measurements[0].name

    @property
    def repeats(self) -> list[Values]:
        """The measured values of each run."""
        return [measurement.values for measurement in self.measurements]

    @property
    def variants(self) -> list[Values]:
        """All predicted values, with the costs of each run."""
        return [values for measurement in self.measurements for values in measurement.variants]


def rows_of(measurements: Iterable[Measurement]) -> list[Row]:
    """The measurements by cell, in the order in which the cells were first measured."""
    by_cell: dict[int, list[Measurement]] = {}
    for measurement in measurements:
        by_cell.setdefault(measurement.cell, []).append(measurement)
    return [Row(tuple(group)) for group in by_cell.values()]


def read(path: Path) -> tuple[Header, list[Measurement]]:
    """Read a file; a last line that is not whole is left out.

    Raises:
        ExperimentError: when the file cannot be read, or is of another schema.
    """
    header, measurements, _ = _parse(path)
    return header, measurements


def resume(path: Path, header: Header) -> list[Measurement]:
    """Make the file ready for `append`, and return the measurements that it has already.

    A file that is not there, or holds no whole line, is begun with ``header``. From one that is,
    a last line that was cut off is removed.

    Raises:
        ExperimentError: when the file cannot be written, is of another schema, or its header says
            anything else than ``header`` but for the dates: measurements of different kinds do not
            belong into one table.
    """
    if not path.exists() or b"\n" not in _bytes(path):
        write(path, header, ())
        return []
    present, measurements, end = _parse(path)
    existing, expected = asdict(present), asdict(header)
    for key in expected:
        if key not in {"begun", "predicted"} and existing[key] != expected[key]:
            raise ExperimentError(
                f"{path}: its {key} is {_differences(existing[key], expected[key])}; expected a "
                "file of this machine, these versions and flags, or a new one"
            )
    try:
        # Also where nothing is cut off: a file that takes nothing is refused before the work.
        os.truncate(path, end)
    except OSError as error:
        raise unwritable(path, error) from None
    return measurements


def append(path: Path, measurement: Measurement) -> None:
    """Add a measurement at the end, all of it at once.

    Raises:
        ExperimentError: when it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(_line(asdict(measurement)))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from None


def write(path: Path, header: Header, measurements: Iterable[Measurement]) -> None:
    """Write a whole file; it appears whole or not at all.

    Raises:
        ExperimentError: when it cannot be written.
    """
    records = (
        {"schema": SCHEMA, **asdict(header)},
        *(asdict(measurement) for measurement in measurements),
    )
    with whole_file(path) as file:
        file.writelines(map(_line, records))


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, allow_nan=False) + "\n"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read ({error.strerror})") from None


def _parse(path: Path) -> tuple[Header, list[Measurement], int]:
    """Header, measurements, and where the last whole line ends."""
    content = _bytes(path)
    end = content.rfind(b"\n") + 1
    header: Header | None = None
    measurements: list[Measurement] = []
    for number, line in enumerate(content[:end].splitlines(), start=1):
        try:
            record = json.loads(line)
            if header is None:
                header = _header(record)
            else:
                measurements.append(_measurement(record))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise ExperimentError(
                f"{path}: line {number} is not of a {SCHEMA} file ({error})"
            ) from None
    if header is None:
        raise ExperimentError(f"{path}: has no whole line; expected a {SCHEMA} file")
    return header, measurements, end


def _header(record: dict[str, Any]) -> Header:
    if record["schema"] != SCHEMA:
        raise ValueError(f"schema is {record['schema']!r}")
    return typed(Header, {key: value for key, value in record.items() if key != "schema"})


def _measurement(record: object) -> Measurement:
    measurement = typed(Measurement, record)
    for values in (measurement.values, measurement.ideal, *measurement.variants):
        if not isinstance(values, dict):
            raise TypeError(f"a variant is of {type(values).__name__}; expected a table")
        for name, value in values.items():
            if not isinstance(value, int | float | None):
                raise TypeError(f"{name} is of {type(value).__name__}; expected a number")
    return measurement


def _differences(existing: object, expected: object) -> str:
    """The differences as text; of tables only the keys that differ."""
    if not isinstance(existing, dict) or not isinstance(expected, dict):
        return f"{existing!r}, not {expected!r}"
    keys = [key for key in {**existing, **expected} if existing.get(key) != expected.get(key)]
    return ", ".join(f"{key} {existing.get(key)!r}, not {expected.get(key)!r}" for key in keys)
