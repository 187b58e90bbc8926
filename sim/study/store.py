"""The file of a study's observations, from which ``--resume`` continues.

JSON lines: a header that says of which base and model the rest is, then a line for each trial,
written as soon as it is known. A file that a kill left with half a line is as good as one
without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from sim.compiled import PREDICTING, fingerprint
from sim.errors import ExperimentError
from sim.experiment import Experiment
from sim.experiment.document import to_dict
from sim.study import observation
from sim.study.observation import Observation
from sim.study.trial import Known, Trial
from sim.whole_file import unwritable

SCHEMA = "gunicorn-study/1"

_FIELDS = {field.name for field in fields(Observation)}


class Store:
    """An open file of observations; a context manager that closes it.

    Attributes:
        known: what the file held when it was opened.
    """

    def __init__(self, path: Path, bases: Sequence[Experiment]) -> None:
        """Open ``path``, which may not be there yet.

        Raises:
            ExperimentError: when it cannot be read or written, is no such file, or is of another
                base or model.
        """
        header = {"schema": SCHEMA, "of": _fingerprint(bases)}
        self.known: Known = {}
        self._file: TextIO | None = None
        try:
            length = _read(path, header, self.known) if path.exists() else 0
            self._file = path.open("a", encoding="utf-8")
            self._file.truncate(length)
            if not length:
                self._write(header)
        except OSError as error:
            self._close()
            raise unwritable(path, error) from None
        except UnicodeDecodeError:
            raise ExperimentError(f"{path}: is not UTF-8; expected a {SCHEMA} file") from None
        self._path = path

    def add(self, trial: Trial, observation: Observation) -> None:
        """Write down one observation.

        Raises:
            ExperimentError: when it cannot be written, as on a full disk.
        """
        numbers = {
            name: value for name, value in asdict(observation).items() if value not in (None, ())
        }
        try:
            self._write({"point": trial.point, "replication": trial.replication, **numbers})
        except OSError as error:
            raise unwritable(self._path, error) from None

    def _write(self, record: dict[str, Any]) -> None:
        assert self._file is not None, "it is open"
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def _close(self) -> None:
        # On a full disk, what could not be written is still buffered, and was said.
        with suppress(OSError):
            if self._file is not None:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()


def _read(path: Path, header: dict[str, Any], known: Known) -> int:
    """Take the observations of a file into ``known``; the length of its whole lines, bytes."""
    if not path.is_file():
        raise ExperimentError(f"{path}: is not a regular file; expected a {SCHEMA} file")
    length = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                # Nothing but our own half line may be cut off.
                if not length and not json.dumps(header).encode().startswith(line):
                    raise ExperimentError(f"{path}: line 1 is not of a {SCHEMA} file")
                break
            where = f"{path}: line {number}"
            try:
                record = json.loads(line)
                if number == 1:
                    _check_header(record, header, path)
                else:
                    _take(record, known)
            except ExperimentError:
                raise
            except (
                *(ValueError, TypeError, LookupError, AttributeError),
                *(ArithmeticError, RecursionError),
            ) as error:
                raise ExperimentError(f"{where} is not of a {SCHEMA} file ({error})") from None
            length += len(line)
    return length


def _check_header(existing: dict[str, Any], header: dict[str, Any], path: Path) -> None:
    if existing["schema"] != SCHEMA:
        raise ValueError(f"schema is {existing['schema']!r}")
    if existing["of"] != header["of"]:
        raise ExperimentError(
            f"{path}: is of another host, traffic, server or model; expected one of the same, or "
            "the name of a new file"
        )


def _take(record: dict[str, Any], known: Known) -> None:
    point = tuple((str(name), value) for name, value in record.pop("point"))
    trial = Trial(point, int(record.pop("replication")))
    if not record.keys() <= _FIELDS:
        raise ValueError(f"keys are {sorted(record)}")
    routes = tuple((str(name), _number(value)) for name, value in record.pop("routes", ()))
    numbers = {
        field.name: _number(record.get(field.name))
        for field in fields(Observation)
        if field.name != "routes"
    }
    known[trial] = Observation(**numbers, routes=routes)


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]  # or TypeError


def _fingerprint(bases: Sequence[Experiment]) -> str:
    """Of everything that an observation depends on beside its trial."""
    digest = hashlib.sha256()
    for base in bases:
        written = {**to_dict(base), "replications": None}
        digest.update(json.dumps(written, sort_keys=True).encode())
    # Not a version: while the model is worked on, it has the same one for months.
    digest.update(fingerprint((*PREDICTING, "analysis")).encode())
    digest.update(Path(observation.__file__).read_bytes())
    return digest.hexdigest()
