"""Mutation testing counts right: `python -m tests.mutation` puts faults into the model.

Goal: the published score is a sample's, and of faults that tests did see or did not. Method: a
project of one module and two tests, in which one fault is seen, one is not and one does not end;
it is tried in processes of its own, which end in the middle too.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from math import isnan
from pathlib import Path

import pytest
from own_processes import OwnProcesses

from tests.json_rows import open_rows, write_row
from tests.mutation.campaign import main
from tests.mutation.covering import FIRST, Covering, TestFile
from tests.mutation.mutant import Mutant
from tests.mutation.rows import Equivalent, Row, equivalents, read
from tests.mutation.sample import sample
from tests.mutation.score import Score, score

ROOT = Path(__file__).parents[2]

#: s that a session of the small project may take, beside other load.
PATIENCE = 60.0

SOURCE = '''
LIMIT = 3

def count(number):
    """Counts up to a limit."""
    seen = 0
    while seen < number:
        seen += 1
    return min(seen, LIMIT)

def twice(number):
    return number + number
'''

TESTS = """
import time
from small.core.counting import count, twice

def test_count():
    assert count(2) == 2

def test_twice():
    assert twice(2) >= 2
"""

#: Tries the faults of the small project in the folder that is its first argument.
CAMPAIGN = """
import json, sys, time
from pathlib import Path
from tests.mutation.campaign import Draw, Project, campaign
from tests.mutation.mutant import Change, Mutant

class Faults:
    def mutants(self, path, source):
        for number, line in enumerate(source.splitlines(), 1):
            for old in ("seen += 1", "seen < number", "number + number", "LIMIT = 3"):
                if old in line:
                    yield Mutant(path, number, number, old, 0)

    def change(self, mutant, source):
        new = {"seen += 1": "seen += 0", "seen < number": "seen <= number",
               "number + number": "number * number", "LIMIT = 3": "LIMIT = 1"}
        text = source.replace(mutant.operator, new[mutant.operator])
        return Change(mutant.operator, new[mutant.operator], text)

if __name__ == "__main__":
    root = Path(sys.argv[1])
    project = Project(root, ["small/core"], ["checks"], start=1.0)
    _, results = campaign(project, Faults(), ["small/core"], Draw(None, 1), root / "rows", [])
    print(json.dumps({row.before: [row.outcome, row.test] for row in results}))
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A project in which two faults are seen, one does not end, and one survives."""
    root = tmp_path / "project"
    for name, text in (
        ("small/__init__.py", ""),
        ("small/core/__init__.py", ""),
        ("small/core/counting.py", SOURCE),
        ("checks/test_counting.py", TESTS),
        ("campaign.py", CAMPAIGN),
        (".gitignore", "rows*\n__pycache__\n"),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True, timeout=PATIENCE)  # noqa: S607 - as above
    return root


def test_a_session_goes_on_and_tells_faults_that_tests_see_from_others(
    small: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    processes = OwnProcesses(request.node.nodeid, monkeypatch)
    file, module = small / "rows", small / "small/core/counting.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(small / "campaign.py"), str(small)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not file.exists() or not file.read_bytes():
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
        finally:
            process.kill()
    assert not processes.pids()
    kept = file.read_bytes()
    assert kept.count(b"\n") == 1
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert "tracing" not in done.stderr
    assert file.read_bytes().startswith(kept)
    assert file.read_bytes().count(b"\n") == 4
    counted = "checks/test_counting.py::test_count"
    assert json.loads(done.stdout) == {
        "seen += 1": ["hung", "checks/test_counting.py"],
        "seen < number": ["killed", counted],
        "number + number": ["survived", None],
        "LIMIT = 3": ["killed", counted],
    }
    assert module.read_text(encoding="utf-8") == SOURCE
    # With another test only the survivor is tried again.
    checks = small / "checks/test_counting.py"
    checks.write_text(TESTS.replace("twice(2) >= 2", "twice(3) == 6"), encoding="utf-8")
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert json.loads(done.stdout)["number + number"][0] == "killed"
    assert file.read_bytes().count(b"\n") == 5


def test_files_that_notice_most_come_first_and_then_the_quickest() -> None:
    def traced(seconds: float) -> TestFile:
        line = {"core.py": frozenset({3})}
        return TestFile({"test_it": seconds}, {"test_it": line}, (), frozenset())

    (first,) = FIRST
    assert (ROOT / first).exists()
    files = {"tests/test_slow.py": traced(9.0), first: traced(5.0), "tests/test_it.py": traced(1.0)}
    mutant = Mutant("core.py", 3, 3, "NumberReplacer", 0)
    batches = [*Covering(files, {"core.py": ""}).batches(mutant)]
    assert [it.files for it in batches] == [
        (first,),
        ("tests/test_it.py",),
        ("tests/test_slow.py",),
    ]


def test_what_a_constant_is_for_is_known_by_the_lines_that_name_it() -> None:
    def traced(path: str, line: int) -> TestFile:
        return TestFile({"test_it": 1.0}, {"test_it": {path: frozenset({line})}}, (), frozenset())

    sources = {"fitted.py": "ONE, OTHER = 1, 2\n", "core.py": "def f():\n    return OTHER\n"}
    files = {"test_near.py": traced("core.py", 2), "test_far.py": traced("core.py", 1)}
    for line in (1, 2):
        mutant = Mutant("fitted.py", line, line, "NumberReplacer", 0)
        batches = Covering(files, sources).batches(mutant)
        assert [it.files for it in batches if it.tests] == (
            [("test_near.py",)] if line == 1 else []
        )


def some(folder: str, number: int) -> list[Mutant]:
    return [Mutant(f"{folder}/it.py", line, line, "AddNot", line) for line in range(number)]


def test_a_sample_is_that_of_its_seed() -> None:
    population = [*some("sim/a", 100), *some("sim/b", 100)]
    assert sample(population, 50, 7) == sample(reversed(population), 50, 7)
    assert sample(population, 50, 7) != sample(population, 50, 8)
    assert len({*sample(population, 50, 7)}) == 50
    assert {*sample(population, None, 7)} == {*population}
    assert {*sample(population, 1000, 7)} == {*population}


def test_each_folder_has_its_share_of_a_sample() -> None:
    population = [*some("sim/a", 150), *some("sim/b", 49), *some("sim/c", 1)]
    assert Counter(it.stratum for it in sample(population, 20, 1)) == {"sim/a": 15, "sim/b": 5}
    # One drawn with a larger number has what it had before, and more.
    assert {*sample(population, 40, 1)} > {*sample(population, 20, 1)}


def test_the_interval_is_wilsons() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 857-872, table I: 81 of 263, and 0 of 20.
    low, high = Score(killed=70, hung=11, survived=182).interval()
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = Score(survived=20).interval()
    assert (low, round(high, 4)) == (0.0, 0.1611)
    assert Score().interval() == (0.0, 1.0)
    assert isnan(Score(equivalent=3).share)


def test_equivalent_mutants_do_not_count() -> None:
    found = score(["killed", "hung", "survived", "killed", "equivalent"])
    assert found == Score(killed=2, hung=1, survived=1, equivalent=1)
    assert found.tried == 4
    assert found.share == 0.75


def test_every_equivalent_mutant_has_a_reason_and_a_source() -> None:
    for it in equivalents():
        assert len(it.reason) > 20
        lines = [line.strip() for line in (ROOT / it.path).read_text(encoding="utf-8").splitlines()]
        assert it.before in " ".join(lines), f"{it.path} has no {it.before}"
        assert it.after != it.before


def test_a_row_that_was_cut_off_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    row = Row(some("sim/a", 1)[0], "a < b", "a <= b", "survived", None, "source", "tests")
    with open_rows(file) as out:
        write_row(out, row)
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:20])
    assert read(file) == {row.mutant: row}
    with open_rows(file) as out:
        write_row(out, row)
    assert file.read_bytes() == whole + whole


def test_an_equivalent_mutant_is_known_by_its_lines() -> None:
    known = Equivalent("sim/a/it.py", "a < b", "a <= b", "a is never b, because they are drawn")
    row = Row(some("sim/a", 1)[0], "a < b", "a <= b", "survived", None, "source", "tests")
    assert known.is_of(row.mutant, row)
    assert not known.is_of(some("sim/b", 1)[0], row)


#: What the extra `mutation` brings; a nightly workflow has it.
if find_spec("cosmic_ray") is not None:
    from tests.mutation.operators import CosmicRay

    FAULTY = '''
from typing import Final
LIMIT: Final[int | None] = 3

def f(a: int | None = 2, *, b: bool = True) -> "int | None":
    """Says 1 + 1."""
    assert a is not None and a > 0
    if a < 3 and b:
        return a * (
            a + 1
        )
    raise AssertionError(f"{a - 1}")
'''

    def test_faults_are_in_what_runs_and_not_in_what_is_asserted() -> None:
        faults = CosmicRay()
        found = {
            (it.before, it.after): mutant
            for mutant in faults.mutants("sim/a/it.py", FAULTY)
            if (it := faults.change(mutant, FAULTY)) is not None
        }
        changed = {before for before, _ in found}
        assert changed == {
            "LIMIT: Final[int | None] = 3",
            'def f(a: int | None = 2, *, b: bool = True) -> "int | None":',
            "if a < 3 and b:",
            "return a * (",
            "a + 1",
        }
        assert ("if a < 3 and b:", "if a <= 3 and b:") in found
        assert ("if a < 3 and b:", "if a < 3 or b:") in found
        # Any test that runs a part of a statement may see a fault in another part.
        assert {(it.line, it.last) for (before, _), it in found.items() if before == "a + 1"} == {
            (9, 11)
        }
        assert all("bool" in after or "def" not in after for _, after in found)


def test_a_missing_extra_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "tests.mutation.operators", raising=False)
    monkeypatch.setitem(sys.modules, "cosmic_ray.ast", None)
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "expected pip install -e '.[mutation]'" in capsys.readouterr().err.splitlines()[-1]
