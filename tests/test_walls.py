"""What each part may know: the walls between the rooms of this project."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from imports import imports

ROOT = Path(__file__).parent.parent
MODEL = sorted((ROOT / "sim" / "model").glob("*.py"))
STUDY = [
    ROOT / "sim" / "study" / f"{name}.py"
    for name in (
        *("candidates", "compare", "conduct", "death", "floor", "headroom", "objective"),
        *("question", "sequential", "sizing", "sweep", "what_if"),
    )
]
REFERENCE_APP = sorted((ROOT / "reference_app").rglob("*.py"))

#: Roots that run unchanged where nothing but Python and simpy is installed, as in a web page.
PORTABLE = (
    "sim.experiment",
    "sim.run",
    "sim.summary",
    "sim.theory",
    "sim.traffic",
    "sim.model.simulation",
)

#: All that the model may import: no clock, file, socket, terminal, thread or process.
PURE = {
    "__future__",
    "abc",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "math",
    "mypy_extensions",  # types, for the compiler only
    "operator",
    "random",
    "sim",
    "simpy",
    "typing",
}

#: Built-ins that reach outside, or that another process answers differently.
IMPURE_CALLS = {"breakpoint", "eval", "exec", "hash", "id", "input", "open", "print", "__import__"}

REPORT_LOADED = """
import json, sys
before = set(sys.modules)
__import__(sys.argv[1])
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_rooms_are_where_these_tests_look() -> None:
    assert {"simulation.py", "gthread.py", "kernel.py"} <= {path.name for path in MODEL}
    assert {"app.py", "measure.py"} <= {path.name for path in REFERENCE_APP}


def test_imports_are_found_in_every_form() -> None:
    source = "import os.path\nif 1:\n def f():\n  from sim import model\n  from .a import b\n"
    assert set(imports(source)) == {"os.path", "sim", "sim.model", ".a", ".a.b"}


@pytest.mark.parametrize("module", PORTABLE)
def test_portable_modules_load_the_standard_library_and_simpy_only(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REPORT_LOADED, module],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        cwd=ROOT,
    )
    loaded = set(json.loads(done.stdout))
    assert "sim" in loaded
    assert loaded - sys.stdlib_module_names <= {"sim", "simpy"}


@pytest.mark.parametrize("path", MODEL, ids=name_of)
def test_the_model_imports_nothing_that_reaches_outside(path: Path) -> None:
    found = set(imports(path.read_text(encoding="utf-8")))
    assert {name.partition(".")[0] for name in found} <= PURE


@pytest.mark.parametrize("path", STUDY, ids=name_of)
def test_the_core_of_a_study_reaches_nothing_outside(path: Path) -> None:
    found = set(imports(path.read_text(encoding="utf-8")))
    assert {name.partition(".")[0] for name in found} <= PURE | {"concurrent", "re", "statistics"}
    parts = ("cli", "executors", "progress", "store")
    assert not found & {f"sim.study.{part}" for part in parts}


@pytest.mark.parametrize("path", MODEL, ids=name_of)
def test_the_model_has_no_random_state_of_the_process(path: Path) -> None:
    # `random.Random` is a stream of its own; the module's functions share one.
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert "random" not in modules
    found = {name for name in imports(path.read_text(encoding="utf-8")) if "random" in name}
    assert found <= {"random", "random.Random"}


@pytest.mark.parametrize("path", MODEL, ids=name_of)
def test_the_model_calls_nothing_that_reaches_outside(path: Path) -> None:
    called = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & IMPURE_CALLS


@pytest.mark.parametrize("path", MODEL, ids=name_of)
def test_the_model_never_reads_a_measurement(path: Path) -> None:
    assert "reference_app" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "sim").rglob("*.py")), *REFERENCE_APP], ids=name_of
)
def test_nothing_but_the_site_knows_the_site(path: Path) -> None:
    found = imports(path.read_text(encoding="utf-8"))
    assert "site_docs" not in {name.partition(".")[0] for name in found}


@pytest.mark.parametrize("path", REFERENCE_APP, ids=name_of)
def test_the_rig_never_reads_a_prediction(path: Path) -> None:
    found = imports(path.read_text(encoding="utf-8"))
    assert not [name for name in found if name == "sim.model" or name.startswith("sim.model.")]


@pytest.mark.parametrize("path", sorted((ROOT / "sim").rglob("*.py")) + REFERENCE_APP, ids=name_of)
def test_only_pages_and_tests_read_claims(path: Path) -> None:
    assert "site_docs" not in {name.partition(".")[0] for name in imports(path.read_text("utf-8"))}
