"""Results that were computed for the pages, until the files that they depend on change.

Predictions and charts take most of the time of a build, and an author who changes a word of a page
changes none of them. A result is kept in a file under the digest of everything that can change it:
the sources of the model and of this package, the experiments, and what was measured. The files are
no part of the project: whoever deletes them waits longer for the next build.
"""

from __future__ import annotations

import hashlib
import pickle
import platform
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import cache, wraps
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "build" / "site-cache"

#: What a result may depend on, from the root.
SOURCES = (
    "sim/**/*.py",
    "sim/**/*.toml",
    "sim/reports/html/report.*",
    "site_docs/**/*.py",
    "site_docs/cases.toml",
    "site_docs/data/**/*.json*",
    "experiments/**/*.toml",
)

#: Packages that it may depend on too.
PACKAGES = ("gunicorn", "matplotlib", "simpy")

_clear: list[Callable[[], None]] = []


def cached_in_process(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function of plain arguments remember its results until `forget`."""
    memory = cache(function)
    _clear.append(memory.cache_clear)
    return memory  # type: ignore[return-value]


def forget() -> None:
    """Remember nothing any more: the files may have changed."""
    for clear in _clear:
        clear()


@cached_in_process
def directory() -> Path:
    """Where results that are computed from today's sources are kept."""
    sha = hashlib.sha256(platform.python_version().encode())
    for package in PACKAGES:
        sha.update(f"{package} {version(package)}\n".encode())
    for path in sorted(path for pattern in SOURCES for path in ROOT.glob(pattern)):
        content = path.read_bytes()
        sha.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode())
        sha.update(content)
    return DIRECTORY / sha.hexdigest()[:16]


def cached_on_disk(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function of plain arguments keep its results in files, and remember them."""

    @wraps(function)
    def cached(*args: Any, **kwargs: Any) -> R:  # noqa: ANN401 - those of the function
        call = repr((function.__module__, function.__qualname__, args, sorted(kwargs.items())))
        path = directory() / hashlib.sha256(call.encode()).hexdigest()[:16]
        with suppress(OSError, EOFError, pickle.UnpicklingError):
            return pickle.loads(path.read_bytes())  # type: ignore[no-any-return]  # noqa: S301 - ours
        result = function(*args, **kwargs)
        with suppress(OSError):  # The site can be built from a checkout that is read-only.
            _write(path, pickle.dumps(result, pickle.HIGHEST_PROTOCOL))
        return result

    return cached_in_process(cached)


def sweep_out() -> None:
    """Delete what was computed from other sources than today's."""
    if DIRECTORY.is_dir():
        for path in DIRECTORY.iterdir():
            if path != directory():
                shutil.rmtree(path, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    # Whole or not at all: several processes write and read at the same time.
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)
