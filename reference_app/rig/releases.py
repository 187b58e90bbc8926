"""Any release of Gunicorn for the rig to run: made once with pip, and kept.

::

    cache/gunicorn-23.0.0-cp311/   what `pip install --target` leaves: Gunicorn and what it needs
        gunicorn/  bin/gunicorn    first on PYTHONPATH; all else comes from this environment

So the application under test, its packages and the interpreter are the same for every release. A
virtual environment for each release would need a copy of the application's packages.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from os import environ
from pathlib import Path
from sysconfig import get_path

import platformdirs

from sim.errors import ExperimentError

#: Names another directory for the releases that are kept.
CACHE = "GUNICORN_SIM_CACHE"

#: How a release is written; pip would take more, such as a URL.
_RELEASE = re.compile(r"\d+(\.\d+){1,2}")

#: What releases need besides what they declare, by the beginning of their number.
#: 20.1 imports ``pkg_resources``, which setuptools has dropped in 81 (gunicorn/util.py).
_BESIDES = {"20.": ("setuptools<80",)}

#: s that pip may take; and after which a directory that was never finished is nobody's.
PATIENCE = 300.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Gunicorn:
    """A Gunicorn that can be run.

    Attributes:
        release: such as ``23.0.0``.
        script: the console script, to be run by this interpreter.
        directory: to put first on ``PYTHONPATH``; None for the Gunicorn of this environment.
    """

    release: str
    script: Path
    directory: Path | None = None


def installed() -> Gunicorn:
    """The Gunicorn of this environment."""
    return Gunicorn(version("gunicorn"), Path(get_path("scripts"), "gunicorn"))


def gunicorn(release: str | None, tell: Tell) -> Gunicorn:
    """The Gunicorn of ``release``: that of this environment if it is the same, else a kept one.

    Args:
        release: such as ``23.0.0``; None is this environment's, whichever it is.
        tell: told what is under way, where that takes a while.

    Raises:
        ExperimentError: when it is not a release, or cannot be installed.
    """
    here = installed()
    if release is None or release == here.release:
        return here
    if not _RELEASE.fullmatch(release):
        raise ExperimentError(f"gunicorn is {release!r}; expected a release such as '23.0.0'")
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    directory = cache() / f"gunicorn-{release}-{python}"
    if not directory.is_dir():
        tell(f"installing Gunicorn {release} into {directory}")
        _make(release, directory)
    return Gunicorn(release, directory / "bin" / "gunicorn", directory)


def quietly(release: str) -> Gunicorn:
    """`gunicorn` without messages."""
    return gunicorn(release, lambda _: None)


def cache() -> Path:
    """Where releases are kept."""
    named = environ.get(CACHE)
    return Path(named) if named else platformdirs.user_cache_path("gunicorn-sim")


def _make(release: str, directory: Path) -> None:
    """Install a release in ``directory``, which appears whole or not at all."""
    parent = directory.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(parent)
        with tempfile.TemporaryDirectory(prefix="making-", dir=parent) as scratch:
            target = Path(scratch) / "target"
            _install(release, target)
            try:
                target.rename(directory)
            except OSError:
                # Another process was quicker; what it made is the same.
                if not directory.is_dir():
                    raise
    except OSError as error:
        raise ExperimentError(
            f"{parent}: cannot keep Gunicorn {release} ({error.strerror}); expected a directory "
            f"that can be written to, which {CACHE} may name"
        ) from None


def _remove_unfinished(parent: Path) -> None:
    """Remove what processes left that were killed on the way."""
    for path in parent.glob("making-*"):
        if time.time() - path.stat().st_mtime > PATIENCE:
            shutil.rmtree(path, ignore_errors=True)


def _install(release: str, target: Path) -> None:
    besides = next((needs for start, needs in _BESIDES.items() if release.startswith(start)), ())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--target", str(target), f"gunicorn=={release}", *besides]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, and a release's number
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise ExperimentError(
            f"Gunicorn {release} was not installed in {PATIENCE:g} s; expected a package index "
            "that answers"
        ) from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        output = errors[-1].removeprefix("ERROR: ") if errors else f"exit status {done.returncode}"
        raise ExperimentError(
            f"Gunicorn {release} cannot be installed (pip: {output}); expected a release that "
            "exists, and a network"
        )
