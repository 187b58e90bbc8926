"""What became of each mutant, a line each in a file that a later session goes on with."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.json_rows import read_rows
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
    rows = (Row(**{**row, "mutant": Mutant(**row["mutant"])}) for row in read_rows(path))
    return {row.mutant: row for row in rows}


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
