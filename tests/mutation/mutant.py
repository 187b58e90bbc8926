"""A mutant: one small fault in one source file; and what makes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """Where a fault is and what it changes.

    Attributes:
        path: of the source file, from the root of the repository.
        line: first line of the statement that is changed, from 1; of a compound statement, of its
            header.
        last: last line of it.
        operator: Cosmic Ray's name for the kind of fault.
        occurrence: which place in the file where this operator applies, from 0.
    """

    path: str
    line: int
    last: int
    operator: str
    occurrence: int

    @property
    def stratum(self) -> str:
        """The folder of its source file."""
        return PurePosixPath(self.path).parent.as_posix()

    def is_below(self, package: str) -> bool:
        """Whether its source file is in a package."""
        return self.path.startswith(f"{package}/")


@dataclass(frozen=True, slots=True)
class Change:
    """What a mutant does to its source.

    Attributes:
        before: lines that it changes, without indentation.
        after: what they become.
        source: the whole file with the fault.
    """

    before: str
    after: str
    source: str


class Faults(Protocol):
    """What says which faults there are, and makes them."""

    def mutants(self, path: str, source: str) -> Iterator[Mutant]:
        """All mutants of a file with this text."""

    def change(self, mutant: Mutant, source: str) -> Change | None:
        """What a mutant does to its source; None if no valid program comes out."""
