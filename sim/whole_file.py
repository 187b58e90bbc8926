"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from sim.errors import ExperimentError


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A file to write to, which takes the place of ``path`` when the block ends without an error.

    Raises:
        ExperimentError: when it cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        with suppress(OSError):
            partial.unlink()


def unwritable(path: Path, error: OSError) -> ExperimentError:
    """What to say of a file that cannot be written."""
    return ExperimentError(f"{path}: cannot be written ({error.strerror})")
