"""What became of each experiment, a line each in a file that a later session goes on with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one experiment.

    Attributes:
        seed: of the experiments.
        number: which of them.
        commit: of the code that predicted.
        machine: that measured.
        worker_class: of the server.
        gunicorn: its release.
        experiment: as `sim.experiment.document.to_dict` writes it.
        complaints: what each look found that no prediction has; none after the first look that
            found nothing.
        error: why it was not measured; empty if it was.
    """

    seed: int
    number: int
    commit: str
    machine: str
    worker_class: str
    gunicorn: str
    experiment: dict[str, Any]
    complaints: list[str]
    error: str = ""


def read(path: Path) -> list[Row]:
    """The rows of a file; a line that was cut off is left out."""
    return [*_rows(path)] if path.exists() else []


def _rows(path: Path) -> Iterator[Row]:
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield Row(**json.loads(line))


def write(file: TextIO, row: Row) -> None:
    """Add a row, at once."""
    file.write(json.dumps(asdict(row)) + "\n")
    file.flush()
