"""A copy of the working tree, in which sources are mutated: the tree itself never is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import cache_from_source
from pathlib import Path


@contextmanager
def mutated(path: Path, source: str) -> Iterator[None]:
    """Give a file of a copy another text in the block.

    Its bytecode is removed: Python takes that for the file's own if the time of change, in whole
    seconds, and the size agree, as those of a mutant may.
    """
    original = path.read_bytes()
    bytecode = Path(cache_from_source(str(path)))
    try:
        path.write_text(source, encoding="utf-8")
        bytecode.unlink(missing_ok=True)
        yield
    finally:
        path.write_bytes(original)
        bytecode.unlink(missing_ok=True)


def copy_tree(root: Path, into: Path) -> None:
    """Copy what is, or would be, under version control."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    for name in names.decode().split("\0"):
        source = root / name
        if name and source.is_file():
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # removed meanwhile
                shutil.copy2(source, target)
