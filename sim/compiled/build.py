"""Compiles the model: mypyc makes C extensions of its modules, from their types.

``hatch_build.py`` puts them into a wheel, `sim.compiled.command` near the sources of a clone. As a
script, ``python -m sim.compiled.build DIRECTORY`` builds them in a directory and does no more.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import sysconfig
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from threading import Thread
from typing import Any

from sim.compiled import DIRECTORY, FINGERPRINT, GROUP, PACKAGE
from sim.errors import ExperimentError

#: What is compiled, but for `PYTHON`: the model, the rows that it fills in, and what sums them up.
COMPILED = (
    "model/**/*.py",
    *("run/arrivals.py", "run/column.py", "run/ideal_queue.py", "run/occupation.py"),
    *("run/rows.py", "run/sketch.py", "run/tally.py"),
    *("analysis/ideal.py", "analysis/quantile.py", "analysis/sample.py"),
)

#: Modules of `COMPILED` that stay Python.
PYTHON = {
    "__init__.py",  # decides whether the others are compiled
    "slow_life.py",  # a class of SimPy's with another method; no request passes through it
    "attributes.py",  # has to be there for both
    "wiring.py",  # mypyc does not know dataclasses that are frozen and have slots
}


#: s between two looks at whether the process that began a build has ended.
LOOK = 0.5


def refuse_missing_tools() -> None:
    """Check that everything is there that compiles.

    Raises:
        ExperimentError: when mypyc, setuptools, a C compiler or Python's headers are missing.
    """
    missing = [name for name in ("mypyc", "setuptools") if find_spec(name) is None]
    if missing:
        raise ExperimentError(
            f"{' and '.join(missing)} cannot be imported; compiling needs the extra 'compile': "
            "pip install -e '.[compile]'"
        )
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    if sys.platform != "win32" and shutil.which(compiler) is None:
        raise ExperimentError(
            f"the C compiler {compiler!r} is not installed; compiling needs one, beside the extra "
            "'compile' (pip install -e '.[compile]')"
        )
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        raise ExperimentError(
            f"{headers / 'Python.h'} is not there; compiling needs Python's headers (python3-dev), "
            "beside the extra 'compile' (pip install -e '.[compile]')"
        )


def build(lib: Path) -> None:
    """Build the extensions in ``lib``; nothing else is written outside of a temporary directory.

    It takes a minute and a half, and what it says goes to stdout and stderr. The working directory
    has to be the one that `sim` is in.

    Raises:
        SystemExit: when mypyc finds an error.
        setuptools.errors.BaseError: when the C compiler does.
    """
    # In here, so that a process without them can ask what is missing.
    from mypyc.build import mypycify  # noqa: PLC0415
    from setuptools import Distribution  # noqa: PLC0415

    root = PACKAGE.parent
    paths = sorted(path for pattern in COMPILED for path in PACKAGE.glob(pattern))
    with TemporaryDirectory() as scratch:
        extensions = mypycify(
            [
                f"--cache-dir={scratch}/cache",
                "--always-true=COMPILED",  # see sim/model/engine/heap.py
                "--no-warn-unused-ignores",
                *(str(path.relative_to(root)) for path in paths if path.name not in PYTHON),
            ],
            opt_level="2",
            # They cost nothing here, and hold in tests, which run interpreted code.
            strip_asserts=True,
            target_dir=f"{scratch}/c",
            group_name=GROUP,
        )
        if sys.platform != "win32":
            for extension in extensions:
                # One rounding instead of two, where the processor can multiply and add at once,
                # would be another prediction than the interpreter's.
                extension.extra_compile_args.append("-ffp-contract=off")
                # A debugger's symbols of the C code would take a tenth of the time.
                extension.extra_compile_args.append("-g0")
                # Nobody replaces a function of the extension, so the compiler may inline them.
                extension.extra_compile_args.append("-fno-semantic-interposition")
        command: Any = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib = str(lib)
        command.build_temp = f"{scratch}/o"
        command.ensure_finalized()
        command.run()


def put_in_place(lib: Path, made_of: str) -> None:
    """Make the extensions in ``lib`` the compiled model; ``lib`` is gone then.

    Args:
        lib: on the same file system.
        made_of: the `fingerprint` of the sources that they were made of.

    Raises:
        OSError: when they cannot be moved there.
    """
    (lib / FINGERPRINT).write_text(made_of)
    # Not over the old files, which a running process may have mapped into its memory.
    old = Path(mkdtemp(dir=DIRECTORY.parent, prefix="compiled-before-"))
    try:
        if DIRECTORY.exists():
            DIRECTORY.rename(old / DIRECTORY.name)
        lib.rename(DIRECTORY)
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _end_with(parent: int) -> None:
    """End this session, compilers included, when the process that began it has ended."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    # `sim.compiled.command` ends it, unless SIGKILL ends that first.
    if sys.platform != "win32" and os.getsid(0) == os.getpid():
        Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    build(Path(sys.argv[1]))
