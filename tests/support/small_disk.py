"""A disk of a few pages, for what must be said when it is full or takes nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: Bytes of a page, of which a disk of memory has a whole number.
PAGE = os.sysconf("SC_PAGE_SIZE")


@contextmanager
def small_disk(folder: Path, pages: int) -> Iterator[Path]:
    """A disk at ``folder`` with room for so many ``pages``; without root the test is skipped."""
    # One more: of no size would be one without a limit.
    options = f"size={(pages + 1) * PAGE}"
    done = _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    if done.returncode:
        pytest.skip(f"no disk can be mounted, which takes root: {done.stderr.strip()}")
    try:
        (folder / "filler").write_bytes(bytes(PAGE))
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


def enlarge(folder: Path) -> None:
    """Give such a disk much room."""
    done = _run("mount", "-o", "remount,size=1m", str(folder))
    assert done.returncode == 0, done.stderr


def protect(folder: Path) -> None:
    """Make such a disk read-only."""
    done = _run("mount", "-o", "remount,ro", str(folder))
    assert done.returncode == 0, done.stderr


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
