"""The model predicts the same, byte for byte, compiled and interpreted."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from compiler import wait_for_compiler
from imports import imports
from waiting import wait_for

from sim import compiled
from sim.compiled.build import refuse_missing_tools
from sim.errors import ExperimentError
from sim.experiment import Experiment, Traffic
from sim.study.compile_hint import compile_hint, requests_of

ROOT = Path(__file__).parents[2]

#: What the name of an extension ends with.
SUFFIX = EXTENSION_SUFFIXES[0]


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
    wait_for_compiler()
    if not compiled.is_fresh():
        try:
            refuse_missing_tools()
        except ExperimentError as error:
            pytest.skip(str(error))
        assert where.exists(), "the model has not been compiled: python -m sim compile does it"
        # The sources have been changed since: a wheel of them, somewhere else.
        where, path = tmp_path, str(tmp_path)
        install(tmp_path, HATCH_BUILD_HOOKS_ENABLE="1")
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
    (directory / compiled.FINGERPRINT).write_text(compiled.fingerprint())
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


def test_one_whose_runtime_is_gone_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # mypyc has been uninstalled since.
    monkeypatch.delenv(compiled.INTERPRETED)
    monkeypatch.setattr(compiled, "is_fresh", lambda: True)
    monkeypatch.setattr(compiled, "find_spec", lambda name: None if name == "librt" else name)
    monkeypatch.setattr(compiled, "spec_from_file_location", None)
    assert not compiled._load_shared.__wrapped__()


def test_its_fingerprint_covers_all_that_the_model_imports() -> None:
    found = {
        name.split(".")[1]
        for path in (ROOT / "sim" / "model").rglob("*.py")
        if path.name != "__init__.py"
        for name in imports(path.read_text())
        if name.startswith("sim.")
    }
    assert found == set(compiled.PREDICTING)


def attributes_set(assignment: ast.Assign) -> Iterator[tuple[str, bool]]:
    """The attributes that an assignment sets, and whether to None."""
    for target in assignment.targets:
        pairs = [(target, assignment.value)]
        if isinstance(target, ast.Tuple) and isinstance(assignment.value, ast.Tuple):
            pairs = list(zip(target.elts, assignment.value.elts, strict=True))
        for place, value in pairs:
            if isinstance(place, ast.Attribute):
                yield ast.unparse(place), isinstance(value, ast.Constant) and value.value is None


def read_after_none(source: str) -> Iterator[str]:
    """Attributes that a function sets to None and reads further down, with the line."""
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        # Line, order within it, attribute, what is done with it.
        events: list[tuple[int, int, str, str]] = []
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                events.append((node.lineno, 0, ast.unparse(node), "read"))
            elif isinstance(node, ast.Assign):
                line = node.end_lineno or node.lineno
                for attribute, to_none in attributes_set(node):
                    events.append((line, 1, attribute, "to None" if to_none else "set"))
        last: dict[str, str] = {}
        for line, _, attribute, event in sorted(events, key=lambda event: event[:2]):
            if event != "read":
                last[attribute] = event
            elif last.get(attribute) == "to None":
                yield f"{line}: {attribute}"


def test_nothing_is_read_where_it_was_set_to_none() -> None:
    # mypyc takes it for None from there on, also after a call that sets it: a TypeError.
    trap = "def f(x):\n x.a = None\n g(x)\n if x.a:\n  x.a = 1\n  x.a.b()\n"
    assert list(read_after_none(trap)) == ["4: x.a"]
    assert list(read_after_none("def f(x):\n a, x.a = x.a, None\n x.a()\n")) == ["3: x.a"]
    for path in (ROOT / "sim" / "model").rglob("*.py"):
        assert not list(read_after_none(path.read_text(encoding="utf-8"))), path


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


def test_an_install_compiles_only_if_asked(tmp_path: Path) -> None:
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed: pip install -e '.[dev]'")
    refuses, target = tmp_path / "refuses", tmp_path / "target"
    put_mypyc(refuses, "raise SystemExit('what mypyc does at a wrong type')")
    install(target, PYTHONPATH=str(refuses))
    assert (target / "sim" / "model" / "cpython" / "gil.py").exists()
    assert not [path for path in target.rglob("*") if path.name.endswith(SUFFIX)]
    other = tmp_path / "other"
    with pytest.raises(subprocess.CalledProcessError):
        install(other, PYTHONPATH=str(refuses), HATCH_BUILD_HOOKS_ENABLE="1")
    assert not (other / "sim").exists()


def put_mypyc(directory: Path, source: str) -> None:
    """Write a package ``mypyc`` whose ``build.mypycify`` runs this ``source``."""
    (directory / "mypyc").mkdir(parents=True)
    (directory / "mypyc" / "__init__.py").touch()
    (directory / "mypyc" / "build.py").write_text(f"def mypycify(*_, **__):\n    {source}\n")


def start_compile(copy: Path, **environment: str) -> subprocess.Popen[str]:
    """Start ``python -m sim compile`` in a copy of the sources that is a clone."""
    (copy / "pyproject.toml").touch()
    return subprocess.Popen(
        [sys.executable, "-m", "sim", "compile"],
        cwd=copy,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def change(copy: Path) -> set[Path]:
    """Make the copy's compiled model stale; returns all that its build directory has."""
    costs = copy / "sim" / "experiment" / "costs.py"
    costs.write_text(costs.read_text() + "# changed\n")
    return set((copy / "build").rglob("*"))


def test_compile_leaves_a_fresh_model_alone(copy: Path) -> None:
    process = start_compile(copy)
    output, errors = process.communicate(timeout=30)
    directory = copy / compiled.DIRECTORY.relative_to(ROOT)
    assert (process.returncode, output, errors) == (0, f"up to date: {directory}\n", "")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("print('x.py:1: error: wrong type'); raise SystemExit(1)", "x.py:1: error: wrong type"),
        ("raise OSError('no space')", "OSError: no space"),
    ],
)
def test_a_compile_that_fails_changes_nothing(
    copy: Path, tmp_path: Path, source: str, message: str
) -> None:
    before = change(copy)
    put_mypyc(tmp_path / "fails", source)
    process = start_compile(copy, PYTHONPATH=str(tmp_path / "fails"))
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (2, "")
    progress, error = errors.splitlines()
    assert progress.startswith("compiling the model")
    assert error.startswith("error: the model is not compiled")
    assert message in error
    assert set((copy / "build").rglob("*")) == before


def test_compile_replaces_the_model_as_a_whole(copy: Path, tmp_path: Path) -> None:
    change(copy)
    directory = copy / compiled.DIRECTORY.relative_to(ROOT)
    (directory / "old.so").touch()
    # An extension of no module of the model's: what is compiled is not what this is about.
    (copy / "empty.c").write_text(
        '#include <Python.h>\nstatic struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "empty"};\n'
        "PyMODINIT_FUNC PyInit_empty(void) { return PyModule_Create(&m); }\n"
    )
    put_mypyc(
        tmp_path / "works",
        "import setuptools; return [setuptools.Extension('empty', ['empty.c'])]",
    )
    process = start_compile(copy, PYTHONPATH=str(tmp_path / "works"))
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, f"compiled: {directory}\n")
    assert {path.name for path in directory.iterdir()} == {"fingerprint", f"empty{SUFFIX}"}
    assert {path.name for path in directory.parent.iterdir()} == {directory.name}
    assert is_fresh(copy)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_compile_leaves_no_process_and_changes_nothing(
    copy: Path, tmp_path: Path, number: int, status: int
) -> None:
    before = change(copy)
    started = tmp_path / "started"
    # A compiler that is at work, as a child of the process that builds.
    child = f"echo $$ > {started}.partial; mv {started}.partial {started}; exec sleep 60"
    put_mypyc(tmp_path / "waits", f"import subprocess; subprocess.run(['sh', '-c', {child!r}])")
    process = start_compile(copy, PYTHONPATH=str(tmp_path / "waits"))
    try:
        wait_for(started.exists, "the compiler", 20.0)
        process.send_signal(number)
        assert process.wait(10) == status
    finally:
        process.kill()
        process.communicate()
    compiler = Path("/proc", started.read_text().strip())
    wait_for(lambda: not compiler.exists(), "the end of the compiler", 20.0)
    assert set((copy / "build").rglob("*")) == before


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("mypyc", "mypyc cannot be imported; compiling needs the extra 'compile'"),
        ("compiler", "the C compiler 'none' is not installed"),
    ],
)
def test_what_is_missing_is_one_line(
    monkeypatch: pytest.MonkeyPatch, missing: str, message: str
) -> None:
    absent = missing if missing == "mypyc" else None
    monkeypatch.setattr(
        "sim.compiled.build.find_spec", lambda name: None if name == absent else name
    )
    if missing == "compiler":
        monkeypatch.setattr("sysconfig.get_config_var", lambda _: "none -pthread")
    with pytest.raises(ExperimentError, match=message) as raised:
        refuse_missing_tools()
    assert "pip install -e '.[compile]'" in str(raised.value)


def test_a_package_that_is_no_clone_is_refused(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sim", tmp_path / "sim", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "sim", "compile"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        f"error: the sources in {tmp_path / 'sim'} are no clone; expected"
    )
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize(
    ("requests", "is_compiled", "expected"),
    [(1e7, False, True), (1e6, False, False), (1e7, True, False)],
)
def test_much_work_says_that_compiling_helps(
    monkeypatch: pytest.MonkeyPatch, requests: float, is_compiled: bool, expected: bool
) -> None:
    monkeypatch.delenv(compiled.INTERPRETED)
    hint = compile_hint(requests, compiled=is_compiled)
    assert (hint is not None) == expected
    if hint is not None:
        assert hint.startswith("10,000,000 requests")
        assert "saves about 3 min" in hint
        assert hint.endswith("python -m sim compile")


def test_who_wants_the_interpreted_model_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.INTERPRETED, "1")
    assert compile_hint(1e9, compiled=False) is None


def test_requests_are_counted_before_they_come() -> None:
    traffic = Traffic(rate=50.0, duration=10.0)
    closed = Traffic(arrivals="closed", users=4, requests=7)
    assert requests_of((Experiment(traffic=traffic), Experiment(traffic=closed)), 3) == 1521
    assert requests_of((Experiment(traffic=replace(closed, requests=None)),), 3) == 0
