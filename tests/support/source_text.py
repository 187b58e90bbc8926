"""The source of a Python object or a file of this project, as ``site_docs/claims`` names it.

``python -m source_text`` reads such names as JSON and prints their sources: of the Gunicorn that is
first on the path.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def source_text(at: str) -> str:
    """What stands at ``MODULE``, ``MODULE:NAME`` or in a file of this project."""
    module, _, name = at.partition(":")
    # A module of this project may be compiled, and then has no source that `inspect` finds.
    for path in (ROOT / at, ROOT.joinpath(*module.split(".")).with_suffix(".py")):
        if not name and path.is_file():
            return path.read_text(encoding="utf-8")
    found = importlib.import_module(module)
    for attribute in filter(None, name.split(".")):
        found = inspect.getattr_static(found, attribute)
    if isinstance(found, property):
        found = found.fget
    return inspect.getsource(found)


if __name__ == "__main__":
    json.dump([source_text(at) for at in json.load(sys.stdin)], sys.stdout)
