"""Compiles the model when the package is installed, where that is possible; else it stays Python.

mypyc makes a C extension of the modules of ``sim.model``, from their types: half a minute, for
which it takes a C compiler. In a wheel the extensions are beside the sources, for tracebacks;
Python finds them first. An editable install has them in a directory of their own; see
``sim/compiled.py``.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileModel(BuildHookInterface[Any]):
    """Hatchling's hook.

    Everything that is made on the way is in a temporary directory, never among the sources.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the result into the wheel or, for an editable one, near the sources."""
        root = Path(self.root)
        compiled = run_path(str(root / "sim" / "compiled.py"))
        self._scratch = TemporaryDirectory()
        lib = Path(self._scratch.name) / "lib"
        try:
            _compile(root, self.config["interpreted"], compiled["GROUP"], lib)
            if version == "editable":
                directory: Path = compiled["DIRECTORY"]
                # Not over what is there, which a running process may have mapped into its memory.
                shutil.rmtree(directory, ignore_errors=True)
                shutil.copytree(lib, directory)
                compiled["MADE_OF"].write_text(compiled["fingerprint"]())
                return
        except (Exception, SystemExit) as error:  # mypyc exits, where it finds fault
            self.app.display_warning(f"the model is not compiled, and stays Python: {error!r}")
            return
        for path in lib.rglob("*"):
            if path.is_file():
                build_data["force_include"][str(path)] = str(path.relative_to(lib))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's
        """The wheel is written."""
        self._scratch.cleanup()


def _compile(root: Path, interpreted: list[str], group: str, lib: Path) -> None:
    """Make the extensions of all modules of the model but the ``interpreted`` ones, in ``lib``."""
    # In here, so that an install without them goes on, too.
    from mypyc.build import mypycify  # noqa: PLC0415
    from setuptools import Distribution  # noqa: PLC0415

    scratch = lib.parent
    model = root / "sim" / "model"
    paths = sorted(path.relative_to(root) for path in model.rglob("*.py"))
    extensions = mypycify(
        [
            f"--cache-dir={scratch / 'cache'}",
            "--always-true=COMPILED",  # see sim/model/engine/heap.py
            "--no-warn-unused-ignores",
            *(str(path) for path in paths if path.name not in interpreted),
        ],
        opt_level="3",
        target_dir=str(scratch / "c"),
        group_name=group,
    )
    if sys.platform != "win32":
        for extension in extensions:
            # One rounding instead of two, where the processor can multiply and add at once, would
            # be another prediction than the interpreter's.
            extension.extra_compile_args.append("-ffp-contract=off")
    command: Any = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
    command.build_lib = str(lib)
    command.build_temp = str(scratch / "o")
    command.ensure_finalized()
    command.run()
