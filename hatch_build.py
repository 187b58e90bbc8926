"""Compiles the model for a wheel that is to be fast, where one asks for it.

::

    HATCH_BUILD_HOOKS_ENABLE=1 pip install .

mypyc makes one C extension of the modules that ``pyproject.toml`` names, from their types. The
sources are in the wheel beside it, for tracebacks; what Python finds first is the extension.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from mypyc.build import mypycify
from setuptools import Distribution


class CompileModel(BuildHookInterface[Any]):
    """Hatchling's hook.

    Everything that is made on the way is in a temporary directory, never among the sources.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the result into the wheel; not into an editable one."""
        if version == "editable":
            return
        self._scratch = TemporaryDirectory()
        scratch, root = Path(self._scratch.name), Path(self.root)
        package: str = self.config["package"]
        names = sorted(path.name for path in (root / package).glob("*.py"))
        extensions = mypycify(
            [
                f"--cache-dir={scratch / 'cache'}",
                "--always-true=COMPILED",  # see sim/model/heap.py
                "--no-warn-unused-ignores",
                *(f"{package}/{name}" for name in names if name not in self.config["interpreted"]),
            ],
            opt_level="3",
            target_dir=str(scratch / "c"),
            group_name="gunicorn_sim",
        )
        if sys.platform != "win32":
            for extension in extensions:
                # One rounding instead of two, where the processor can multiply and add at once,
                # would be another prediction than the interpreter's.
                extension.extra_compile_args.append("-ffp-contract=off")
        command: Any = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib = str(scratch / "lib")
        command.build_temp = str(scratch / "o")
        command.ensure_finalized()
        command.run()
        for path in (scratch / "lib").rglob("*"):
            if path.is_file():
                build_data["force_include"][str(path)] = str(path.relative_to(scratch / "lib"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's
        """The wheel is written."""
        if version != "editable":
            self._scratch.cleanup()
