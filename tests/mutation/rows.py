"""What became of each mutant, a line each in a file that a later session goes on with."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TextIO

from tests.mutation.mutant import Change, Mutant

#: Mutants that behave as the source does, and why.
EQUIVALENT: Final = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one mutant.

    Attributes:
        mutant: which one.
        before: lines that it changes.
        after: what they become.
        outcome: ``killed``, ``hung``, ``survived``, or ``equivalent``: never tried, nor in a file.
        test: that failed; of ``hung``, the file whose tests took too long.
        source: hash of the file that was mutated.
        tests: hash of all tests; a mutant that survived is tried again when they have changed.
    """

    mutant: Mutant
    before: str
    after: str
    outcome: str
    test: str | None
    source: str
    tests: str


def read(path: Path) -> dict[Mutant, Row]:
    """Rows of a file, the last of each mutant; a line that was cut off is left out."""
    if not path.exists():
        return {}
    return {row.mutant: row for row in _rows(path)}


def _rows(path: Path) -> Iterator[Row]:
    for line in path.read_bytes().split(b"\n")[:-1]:
        document = json.loads(line)
        yield Row(**{**document, "mutant": Mutant(**document["mutant"])})


def open_rows(path: Path) -> TextIO:
    """Open a file for further rows, without the line that was cut off."""
    if path.exists():
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(whole))
    return path.open("a", encoding="utf-8")


def write(file: TextIO, row: Row) -> None:
    """Add a row, at once."""
    file.write(json.dumps(asdict(row)) + "\n")
    file.flush()


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A mutant that behaves as its source does, wherever its file has these lines.

    Attributes:
        path: of the file.
        before: lines that it changes.
        after: what they become.
        reason: why nothing can tell.
    """

    path: str
    before: str
    after: str
    reason: str

    def is_of(self, mutant: Mutant, change: Change | Row) -> bool:
        """Whether it is this mutant."""
        return (self.path, self.before, self.after) == (mutant.path, change.before, change.after)


def equivalents(path: Path = EQUIVALENT) -> list[Equivalent]:
    """The mutants that a file names."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Equivalent(**entry) for entry in document.get("mutant", ())]
