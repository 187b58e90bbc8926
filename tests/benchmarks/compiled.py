"""The model, compiled into a directory of its own: the sources are not touched."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from sim.errors import ExperimentError

ROOT = Path(__file__).parent.parent.parent

#: What compiling takes: pip, and the extra ``compile``.
PACKAGES = ("hatchling", "mypyc", "pip", "setuptools")


def why_not() -> str | None:
    """What is missing here to compile the model; None: nothing."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"no C compiler: {compiler} is not there"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "no C compiler that knows Python: Python.h is not there"
    if missing := [package for package in PACKAGES if find_spec(package) is None]:
        return f"{', '.join(missing)} not installed: pip install -e '.[compile]'"
    return None


def build(directory: Path) -> None:
    """Compile the model, and install it into an empty directory; half a minute.

    Raises:
        ExperimentError: when it fails, after what the compiler says.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation", "--no-index", "--target", str(directory)),
            str(ROOT),
        ],
        env={**os.environ, "HATCH_BUILD_HOOKS_ENABLE": "1"},
        check=False,
    )
    if done.returncode != 0:
        raise ExperimentError(f"compiling ended with status {done.returncode}; expected 0")


def environment(directory: Path) -> dict[str, str]:
    """The environment of a Python process that is to use what `build` has installed there."""
    return {**os.environ, "PYTHONPATH": str(directory)}
