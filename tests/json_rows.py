"""A file of JSON lines that a later session goes on with: a row for each thing that was tried."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, if it is there; a line that was cut off is left out."""
    if path.exists():
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield json.loads(line)


def open_rows(path: Path) -> TextIO:
    """Open a file for further rows, without the line that was cut off."""
    if path.exists():
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(whole))
    return path.open("a", encoding="utf-8")


def write_row(file: TextIO, row: DataclassInstance) -> None:
    """Add a row, at once."""
    file.write(json.dumps(asdict(row)) + "\n")
    file.flush()
