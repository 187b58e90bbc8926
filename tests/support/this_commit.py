"""The commit that the tests are of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def this_commit() -> str:
    """Its abbreviated hash, with ``-dirty`` where files differ; ``unknown`` without git."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    done = subprocess.run(
        [git, "describe", "--always", "--dirty", "--exclude=*"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
