"""Compiles the model into a wheel, where that is asked for with ``HATCH_BUILD_HOOKS_ENABLE=1``.

Without it the hook does not run, and what it needs is not fetched: to install takes seconds. In a
wheel the extensions are beside the sources, for tracebacks; Python finds them first. An editable
install has them where ``python -m sim compile`` puts them; see ``sim/compiled/``.
"""

from __future__ import annotations

import sys
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileModel(BuildHookInterface[Any]):
    """Hatchling's hook.

    Everything that is made on the way is in a temporary directory, never among the sources.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the result into the wheel or, for an editable one, near the sources.

        The build fails where that is not possible: it was asked for.
        """
        # These sources, not those of an installed `sim`.
        sys.path.insert(0, self.root)
        from sim.compiled import DIRECTORY, RUNTIME, fingerprint  # noqa: PLC0415
        from sim.compiled.build import build, put_in_place, refuse_missing_tools  # noqa: PLC0415
        from sim.errors import ExperimentError  # noqa: PLC0415

        editable = version == "editable"
        if editable:
            DIRECTORY.parent.mkdir(exist_ok=True)
        # On the same file system as the directory that it is to become.
        self._scratch = TemporaryDirectory(dir=DIRECTORY.parent if editable else None)
        lib = Path(self._scratch.name) / "lib"
        try:
            refuse_missing_tools()
            with chdir(self.root):
                build(lib)
        except ExperimentError as error:
            self.app.abort(f"the model is not compiled: {error}")
        except (Exception, SystemExit) as error:  # mypyc exits, where it finds fault
            self.app.abort(f"the model is not compiled: {error!r}")
        if editable:
            put_in_place(lib, fingerprint())
            return
        for path in lib.rglob("*"):
            if path.is_file():
                build_data["force_include"][str(path)] = str(path.relative_to(lib))
        build_data["dependencies"].append(f"{RUNTIME}>=0.17")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's
        """The wheel is written."""
        self._scratch.cleanup()
