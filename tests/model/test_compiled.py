"""The model predicts the same, byte for byte, compiled and interpreted."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from imports import imports

from sim import compiled

ROOT = Path(__file__).parents[2]

#: What the name of an extension ends with.
SUFFIX = EXTENSION_SUFFIXES[0]


def why_not() -> str | None:
    """What is missing here to compile the model; None: nothing."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"no C compiler: {compiler} is not there"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "no C compiler that knows Python: Python.h is not there"
    return None


def install(target: Path, **environment: str) -> None:
    """Install a wheel of these sources in ``target``, with this environment besides."""
    flags = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *flags, str(ROOT)],
        check=True,
        env={**os.environ, **environment},
    )


def fingerprints(**environment: str) -> dict[str, Any]:
    """What `fingerprints.py` prints, in a process with this environment besides."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parents[1] / "support" / "fingerprints.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, **environment},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_predicts_the_same_as_the_interpreted_model(tmp_path: Path) -> None:
    where, path = compiled.DIRECTORY, ""
    if not compiled.is_fresh():
        if reason := why_not():
            pytest.skip(reason)
        assert where.exists(), "the model has not been compiled: pip install -e '.[dev]' does it"
        # The sources have been changed since: a wheel of them, somewhere else.
        where, path = tmp_path, str(tmp_path)
        install(tmp_path)
    found = fingerprints(**{compiled.INTERPRETED: "", "PYTHONPATH": path})
    assert Path(found["model"]).is_relative_to(where)
    assert not found["model"].endswith(".py")
    interpreted = fingerprints(**{compiled.INTERPRETED: "1"})
    assert interpreted["model"].endswith(".py")
    runs, expected = found["runs"], interpreted["runs"]
    assert list(runs) == list(expected)
    assert not [name for name, its in runs.items() if its != expected[name]]
    # Not all of one kind: a fingerprint that is always the same would say nothing.
    assert len(set(runs.values())) > 0.9 * len(runs)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources that has the compiled model of these, whether or not it is one."""
    shutil.copytree(ROOT / "sim", tmp_path / "sim", ignore=shutil.ignore_patterns("__pycache__"))
    directory = tmp_path / compiled.DIRECTORY.relative_to(ROOT)
    directory.mkdir(parents=True)
    (tmp_path / compiled.MADE_OF.relative_to(ROOT)).write_text(compiled.fingerprint())
    return tmp_path


def is_fresh(copy: Path) -> bool:
    """Whether the copy has a compiled model that it would use."""
    code = "from sim.compiled import is_fresh; print(is_fresh())"
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, check=True)
    return done.stdout == b"True\n"


def test_it_is_of_these_sources_or_not_used(copy: Path) -> None:
    assert is_fresh(copy)
    other = copy / "sim" / "reports" / "report.py"  # which the model knows nothing of
    other.write_text(other.read_text() + "# changed\n")
    assert is_fresh(copy)
    costs = copy / "sim" / "experiment" / "costs.py"
    was = costs.read_text()
    costs.write_text(was + "# changed\n")
    assert not is_fresh(copy)
    costs.write_text(was)
    assert is_fresh(copy)
    (copy / "sim" / "model" / "cpython" / "gil.py").unlink()
    assert not is_fresh(copy)


def test_one_that_cannot_be_loaded_is_left_alone(copy: Path) -> None:
    # As where another C library shares the directory.
    directory = copy / compiled.DIRECTORY.relative_to(ROOT)
    (directory / f"{compiled.SHARED}{SUFFIX}").write_bytes(b"no extension")
    code = "import sim.model.cpython.gil as gil; print(gil.__file__)"
    environment = {**os.environ, compiled.INTERPRETED: ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, env=environment, capture_output=True, check=True
    )
    assert done.stdout.decode() == f"{copy / 'sim' / 'model' / 'cpython' / 'gil.py'}\n"


def test_its_fingerprint_covers_all_that_the_model_imports() -> None:
    found = {
        name.split(".")[1]
        for path in (ROOT / "sim" / "model").rglob("*.py")
        if path.name != "__init__.py"
        for name in imports(path.read_text())
        if name.startswith("sim.")
    }
    assert found == set(compiled.PREDICTING)


def test_no_class_is_under_one_of_the_models() -> None:
    # Which Python refuses as soon as there is to be one, if that is compiled.
    for package in ("sim", "reference_app", "site_docs"):
        for path in (ROOT / package).rglob("*.py"):
            if path.is_relative_to(ROOT / "sim" / "model"):
                continue
            tree = ast.parse(path.read_text())
            imported = {
                alias.asname or alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sim.model")
                for alias in node.names
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                    assert not bases & imported, f"{path}: {node.name}"


def test_an_install_goes_on_where_it_cannot_be_compiled(tmp_path: Path) -> None:
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: pip install -e '.[compile]'")
    refuses, target = tmp_path / "refuses" / "mypyc", tmp_path / "target"
    refuses.mkdir(parents=True)
    (refuses / "__init__.py").write_text("raise SystemExit('what mypyc does at a wrong type')\n")
    install(target, PYTHONPATH=str(refuses.parent))
    assert (target / "sim" / "model" / "cpython" / "gil.py").exists()
    assert not [path for path in target.rglob("*") if path.name.endswith(SUFFIX)]
