"""The compiled model: extensions made of these very sources, or else not used.

``python -m sim compile`` compiles `sim.model` with mypyc into a directory near the sources, and
with it what draws requests and sums them up (see `sim.compiled.build`). Its predictions are the
same, byte for byte, in a third of the time. After a change to the sources the model is Python
again, until the next such command: an extension that does not do what its source says would be a
riddle.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, MutableSequence
from functools import cache
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

#: Environment variable that keeps the model Python: for a debugger, a profiler, and the tests.
INTERPRETED = "GUNICORN_SIM_INTERPRETED"

#: The compiled model: a directory for each kind of Python that shares these sources.
DIRECTORY = (PACKAGE.parent / "build" / f"model{EXTENSION_SUFFIXES[0]}").with_suffix("")

#: The file in it with the `fingerprint` of its sources.
FINGERPRINT = "fingerprint"

#: The extension that those of all modules share, by mypyc's rule for the name of the group.
GROUP = "gunicorn_sim"
SHARED = f"{GROUP}__mypyc"

#: The package that compiled code needs besides: mypyc's runtime, with its vectors of numbers.
RUNTIME = "librt"

#: Packages of `sim` that a prediction depends on, sources and tables.
PREDICTING = ("experiment", "run", "model")


#: Packages of `sim` that compiled code depends on.
COMPILING = (*PREDICTING, "analysis")


def fingerprint(packages: Iterable[str] = COMPILING) -> str:
    """Hash of the sources of ``packages`` of `sim`; by default, all that is compiled and more."""
    digest = sha256()
    for package in packages:
        for path in sorted((PACKAGE / package).rglob("*.py")):
            source = path.read_bytes()
            digest.update(f"{path.relative_to(PACKAGE).as_posix()} {len(source)}\n".encode())
            digest.update(source)
    return digest.hexdigest()


def is_fresh() -> bool:
    """Whether there is a compiled model of these sources."""
    try:
        return (DIRECTORY / FINGERPRINT).read_text() == fingerprint()
    except OSError:
        return False


def is_clone() -> bool:
    """Whether the sources are a clone of the repository, where they can be compiled in place."""
    return (PACKAGE.parent / "pyproject.toml").is_file()


def prefer(name: str, path: MutableSequence[str]) -> None:
    """Import a package's modules from the compiled model, if it is fresh.

    Args:
        name: of a package of `sim` that has compiled modules.
        path: its ``__path__``.
    """
    if _load_shared():
        path.insert(0, str(DIRECTORY.joinpath(*name.split("."))))


@cache
def _load_shared() -> bool:
    """Load the extension that all others share; False where the model stays Python."""
    if os.environ.get(INTERPRETED) or not is_fresh() or find_spec(RUNTIME) is None:
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
