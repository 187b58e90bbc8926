"""Ctrl-C before a command has its own handling of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Runs a package as ``python -m`` does, and Ctrl-C comes while it imports what handles that.
INTERRUPTED_IMPORT = """
import runpy, sys

class CtrlC:
    def find_spec(self, name, path, target=None):
        if name == "sim.command":
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
runpy.run_module(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize("package", ["sim", "reference_app"])
def test_a_command_that_is_interrupted_while_it_is_imported_says_nothing(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT, package],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
