"""What became of each experiment, a line each in a file that a later session goes on with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.json_rows import read_rows


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
    return [Row(**row) for row in read_rows(path)]
