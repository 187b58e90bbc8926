"""The compiled model, which is made of these very sources, or not used.

``pip install -e .`` compiles `sim.model` where a C compiler is (``hatch_build.py``), into a
directory near the sources. What it predicts is the same, byte for byte, in a third of the time.
Whoever changes the sources has Python again, until the next such command: an extension that does
not do what one reads would be a riddle.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableSequence
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

#: What modules of the model import from beside it, in `sim`.
BESIDE = (
    *("costs", "disturbance", "experiment", "experiment_file", "memory", "release", "run"),
    "traffic",
)


def fingerprint() -> str:
    """Of all that the compiled model depends on."""
    digest = sha256()
    beside = (PACKAGE / f"{name}.py" for name in BESIDE)
    for path in (*sorted((PACKAGE / "model").glob("*.py")), *beside):
        source = path.read_bytes()
        digest.update(f"{path.name} {len(source)}\n".encode())
        digest.update(source)
    return digest.hexdigest()


def is_fresh() -> bool:
    """Whether a compiled model is there, and of these sources."""
    try:
        return MADE_OF.read_text() == fingerprint()
    except OSError:
        return False


def prefer(path: MutableSequence[str]) -> None:
    """Let modules be imported from the compiled model, if it is fresh.

    Args:
        path: ``__path__`` of `sim.model`.
    """
    if os.environ.get(INTERPRETED) or not is_fresh():
        return
    spec = spec_from_file_location(SHARED, DIRECTORY / f"{SHARED}{EXTENSION_SUFFIXES[0]}")
    assert spec is not None, "the name is one of an extension"
    assert spec.loader is not None, "an extension has a loader"
    try:
        shared = module_from_spec(spec)
    except ImportError:
        # Compiled on another machine that shares the directory, for another C library.
        return
    sys.modules[SHARED] = shared
    spec.loader.exec_module(shared)
    path.insert(0, str(DIRECTORY / "sim" / "model"))
