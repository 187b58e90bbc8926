"""What a process has open, as /proc says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def descriptors(pid: int) -> Iterator[tuple[Path, str]]:
    """Each descriptor of a process and its name; what is closed meanwhile is left out."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            name = str(link.readlink())
        except FileNotFoundError:
            continue
        yield link, name
