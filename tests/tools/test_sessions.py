"""How a session of several processes runs its tests: each once, and what measures alone.

Goal: no measurement is disturbed by another test, and no limit on the tests' CPU is overlooked.
Method: a small tree of tests that note when they ran and where, in real sessions of pytest-xdist.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
from kinds import (
    BROWSING,
    COMPILED,
    COMPUTING,
    LONG,
    PREDICTING,
    SERVING,
    SPREAD,
    TOGETHER,
    Kind,
    kind_of,
    kinds_for,
)

SUPPORT = Path(__file__).parents[1] / "support"
TESTS = SUPPORT.parent

CONFTEST = """
import pytest

pytest_plugins = ("cpu_clock",)

@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from scheduling import KindScheduling
    return KindScheduling(config, log)
"""

#: Environment of a session that loads no other plugin: each of its processes would.
ONLY_XDIST = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}

#: Files, and the tests in each.
FILES = {
    "unit/test_one.py": 4,
    "unit/test_other.py": 3,
    "site/test_page.py": 3,
    "site/test_site.py": 3,
    "real/test_cli.py": 3,
    "real/test_server.py": 1,
    "real/test_release_behaviours.py": 4,
    "real/test_reality.py": 3,
    "real/test_boot.py": 2,
    "real/test_trouble.py": 2,
}

TEST = """
def test_{number}():
    import os, time
    began = time.monotonic()
    time.sleep(0.05)
    with open({notes!r}, "a") as notes:
        notes.write(f"{name} {{os.getpid()}} {{began}} {{time.monotonic()}}\\n")
"""


@dataclass(frozen=True)
class Ran:
    """A test that ran in a process, from one time to another, s."""

    file: str
    process: int
    began: float
    ended: float

    @property
    def kind(self) -> Kind:
        """Of its file."""
        return kind_of(Path(self.file))


def session(
    folder: Path, *options: str, compiled: str | None = None
) -> tuple[subprocess.CompletedProcess[str], list[Ran]]:
    """A session of `FILES`, and what ran in it."""
    notes = folder / "notes.txt"
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for file, number in FILES.items():
        path = folder / "tests" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (TEST.format(number=it, notes=str(notes), name=file) for it in range(number))
        path.write_text("".join(text), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if name != COMPILED},
            **({} if compiled is None else {COMPILED: compiled}),
            "PYTHONPATH": str(SUPPORT),
            "PYTEST_ADDOPTS": "",
            **ONLY_XDIST,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [line.split() for line in notes.read_text(encoding="utf-8").splitlines()]
    ran = [Ran(name, int(pid), float(began), float(end)) for name, pid, began, end in lines]
    return done, ran


#: Number of processes, that of the one with the compiled model, and the CPU that tests/unit may
#: take, s.
SESSIONS = {
    "one process": ("1", None, "50"),
    "two, and no CPU for unit tests": ("2", None, "0"),
    "five, of which one has the compiled model": ("5", "4", "50"),
}


@pytest.mark.parametrize(("processes", "compiled", "most"), SESSIONS.values(), ids=SESSIONS)
def test_every_test_runs_once_and_what_measures_runs_alone(
    processes: str, compiled: str | None, most: str, tmp_path: Path
) -> None:
    limit = ("--most-cpu", f"tests/unit={most}")
    done, ran = session(tmp_path, "-n", processes, *limit, compiled=compiled)
    # Tests that take too much CPU fail the session.
    assert done.returncode == (most == "0"), done.stdout
    assert ("error: expected at most 0 s" in done.stdout) == (most == "0")
    assert re.search(r"tests/unit took \d s of CPU\n", done.stdout), done.stdout
    counts: defaultdict[str, int] = defaultdict(int)
    for each in ran:
        counts[each.file] += 1
    assert counts == FILES
    measuring = [each for each in ran if each.kind is Kind.MEASURES]
    assert len({each.process for each in measuring}) == 1
    for one, other in combinations(ran, 2):
        if Kind.MEASURES in (one.kind, other.kind):
            assert one.ended <= other.began or other.ended <= one.began, (one, other)
    # What is measured together comes before what measures alone, though it is named later.
    together = [each for each in measuring if Path(each.file).stem in TOGETHER]
    alone = [each for each in measuring if each not in together]
    assert max(each.ended for each in together) <= min(each.began for each in alone)
    # They come last, so that the others need not wait for them.
    assert max(each.ended for each in ran) == max(each.ended for each in measuring)
    if compiled is not None:
        assert_kinds_keep_apart(ran)


def assert_kinds_keep_apart(ran: Sequence[Ran]) -> None:
    """What computes and what serves has processes of its own, and so has the compiled model."""
    kinds: defaultdict[int, set[Kind]] = defaultdict(set)
    for each in ran:
        kinds[each.process].add(each.kind)
    assert not [its for its in kinds.values() if Kind.SERVES in its and its & COMPUTING]
    assert any(its <= {Kind.PREDICTS, Kind.BROWSES} for its in kinds.values())
    began = min(each.began for each in ran if each.kind is Kind.BROWSES)
    # The last of each process may be held back.
    assert sum(each.ended > began for each in ran if each.kind is Kind.SERVES) <= 2


def test_every_kind_has_a_process() -> None:
    for processes in range(1, 9):
        for kinds in (set(Kind), {Kind.COMPUTES, Kind.MEASURES}, {Kind.MEASURES}):
            for compiled in (None, processes - 1)[: 1 + (processes > 3)]:
                shares = [kinds_for(it, processes, kinds, compiled) for it in range(processes)]
                assert {kind for share in shares for kind in share} >= kinds
                assert sum(Kind.MEASURES in share for share in shares) == 1


def test_files_with_an_exhibit_are_measured_together() -> None:
    """Or servers would be measured beside those of a file that believes itself alone."""
    files = (TESTS / "real").glob("*.py")
    assert {it.stem for it in files if "\nEXHIBIT = " in it.read_text("utf-8")} == TOGETHER


def test_every_file_that_is_named_exists() -> None:
    """Or a test that was renamed would run with others that it must not run with."""
    assert sorted(SERVING - {path.stem for path in (TESTS / "real").glob("*.py")}) == []
    assert sorted(PREDICTING - {path.stem for path in (TESTS / "model").glob("*.py")}) == []
    assert sorted(BROWSING - {path.stem for path in (TESTS / "site").glob("*.py")}) == []
    assert sorted({*LONG} - {path.stem for path in TESTS.glob("*/test_*.py")}) == []
    assert sorted(SPREAD - {path.stem for path in TESTS.glob("*/test_*.py")}) == []
