"""The compiled model, which is made of these very sources, or not used.

``pip install -e .`` compiles `sim.model` where a C compiler is (``hatch_build.py``), into a
directory near the sources. What it predicts is the same, byte for byte, in a third of the time.
Whoever changes the sources has Python again, until the next such command: an extension that does
not do what one reads would be a riddle.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, MutableSequence
from functools import cache
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

PACKAGE = Path(__file__).parent

#: What keeps the model Python, if it is set: for a debugger, a profiler, and the tests.
INTERPRETED = "GUNICORN_SIM_INTERPRETED"

#: Where it is: a directory for each kind of Python that shares these sources.
DIRECTORY = (PACKAGE.parent / "build" / f"model{EXTENSION_SUFFIXES[0]}").with_suffix("")

#: In it, the `fingerprint` of what it was made of.
MADE_OF = DIRECTORY / "fingerprint"

#: The extension that those of all modules share, by mypyc's rule for the name of the group.
GROUP = "gunicorn_sim"
SHARED = f"{GROUP}__mypyc"

#: Packages of `sim` that a prediction depends on, sources and tables.
PREDICTING = ("experiment", "run", "model")


def fingerprint(packages: Iterable[str] = PREDICTING) -> str:
    """Of the sources of ``packages`` of `sim`: by default, of all that a prediction depends on."""
    digest = sha256()
    for package in packages:
        for path in sorted((PACKAGE / package).rglob("*.py")):
            source = path.read_bytes()
            digest.update(f"{path.relative_to(PACKAGE).as_posix()} {len(source)}\n".encode())
            digest.update(source)
    return digest.hexdigest()


def is_fresh() -> bool:
    """Whether a compiled model is there, and of these sources."""
    try:
        return MADE_OF.read_text() == fingerprint()
    except OSError:
        return False


def prefer(name: str, path: MutableSequence[str]) -> None:
    """Import a package's modules from the compiled model, if it is fresh.

    Args:
        name: of `sim.model` or of a package in it.
        path: its ``__path__``.
    """
    if _load_shared():
        path.insert(0, str(DIRECTORY.joinpath(*name.split("."))))


@cache
def _load_shared() -> bool:
    """Load the extension that all others share; False where the model stays Python."""
    if os.environ.get(INTERPRETED) or not is_fresh():
        return False
    spec = spec_from_file_location(SHARED, DIRECTORY / f"{SHARED}{EXTENSION_SUFFIXES[0]}")
    assert spec is not None, "the name is one of an extension"
    assert spec.loader is not None, "an extension has a loader"
    try:
        shared = module_from_spec(spec)
    except ImportError:
        # Compiled on another machine that shares the directory, for another C library.
        return False
    sys.modules[SHARED] = shared
    spec.loader.exec_module(shared)
    return True
