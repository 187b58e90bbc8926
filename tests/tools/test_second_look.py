"""What failed beside other tests and passes alone fails no session; what is broken still does.

Real sessions of pytest-xdist, of tests that leave a note when they ran, and fail the first time, or
always.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from second_look import FEW, worth_a_look

SUPPORT = Path(__file__).parents[1] / "support"

CONFTEST = 'pytest_plugins = ("second_look",)\n'

#: A file that serves, and one that computes.
SERVES, COMPUTES = "tests/real/test_cli.py", "tests/unit/test_one.py"

PASSES = "def test_{name}():\n    pass\n"
FAILS = "def test_{name}():\n    raise AssertionError('always')\n"
FAILS_AT_FIRST = """
def test_{name}():
    import pathlib
    note = pathlib.Path("{name}.txt")
    before = note.exists()
    note.touch()
    assert before
"""
ITS_FIXTURE_FAILS_AT_FIRST = """
import pytest

@pytest.fixture
def server():
    import pathlib
    note = pathlib.Path("{name}.txt")
    before = note.exists()
    note.touch()
    assert before

def test_{name}(server):
    pass
"""


def session(folder: Path, files: dict[str, str], processes: int = 2) -> tuple[int, str]:
    """Exit status and output of a session of files, by what is in each."""
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for file, text in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"-n{processes}"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(SUPPORT),
            "PYTEST_ADDOPTS": "",
            # Each process would load any other plugin.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "xdist.plugin",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("once", [FAILS_AT_FIRST, ITS_FIXTURE_FAILS_AT_FIRST])
def test_what_passes_alone_fails_no_session(once: str, tmp_path: Path) -> None:
    serves = once.format(name="once") + PASSES.format(name="passes")
    status, output = session(tmp_path, {SERVES: serves, COMPUTES: PASSES.format(name="one")})
    assert status == 0, output
    assert f"passed at the second look: {SERVES}::test_once\n" in output
    # What had failed is still told.
    assert "1 failed" in output or "1 error" in output


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({SERVES: FAILS.format(name="broken")}, id="what is broken"),
        pytest.param(
            {SERVES: FAILS_AT_FIRST.format(name="once") + FAILS.format(name="broken")},
            id="what is broken beside what is not",
        ),
        pytest.param({COMPUTES: FAILS_AT_FIRST.format(name="once")}, id="what computes"),
        pytest.param(
            {
                COMPUTES: FAILS.format(name="broken"),
                SERVES: FAILS_AT_FIRST.format(name="once"),
            },
            id="what computes beside what serves",
        ),
    ],
)
def test_what_is_no_chance_fails_a_session(files: dict[str, str], tmp_path: Path) -> None:
    status, output = session(tmp_path, files)
    assert status == 1, output
    assert "passed at the second look" not in output


def test_a_process_alone_looks_once(tmp_path: Path) -> None:
    status, output = session(tmp_path, {SERVES: FAILS_AT_FIRST.format(name="once")}, processes=0)
    assert status == 1, output
    assert "second look" not in output


def test_many_failures_are_no_chance() -> None:
    failed = [f"{SERVES}::test_{number}" for number in range(FEW + 1)]
    assert worth_a_look(failed) == ()
    assert worth_a_look([*failed[:FEW], failed[0]]) == tuple(failed[:FEW])
