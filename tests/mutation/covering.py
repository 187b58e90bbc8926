"""Which tests run which line: each file of tests runs once under a tracer; its result is kept."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from sim.whole_file import whole_file
from tests.mutation import session
from tests.mutation.mutant import Mutant
from tests.mutation.plugins import LineTracer

#: s of CPU that a file of tests may take under the tracer.
PATIENCE: Final = 240.0

#: Files that are not run: they take minutes, for statistics or with the compiled model, and hold
#: what shorter ones hold too. `tests/conftest.py` names them for the same reason.
TOO_LONG: Final = frozenset(
    f"test_{name}"
    for name in ("compiled", "faq_rules", "learnt_costs", "model_theory", "mutation", "rank_test")
)


#: Files whose tests notice most faults, which are tried first though others are quicker.
FIRST: Final = ("tests/model/test_kept_predictions.py",)


#: s of CPU that tests of several files may take in one session, and how many files: a session costs
#: as much as many quick tests.
SESSION, SESSION_FILES = 2.0, 12


class Batch(NamedTuple):
    """Tests that run in one session.

    Attributes:
        files: their files.
        tests: their names, in order; None for all of the files.
        seconds: s of CPU that they take.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...] | None
    seconds: float


@dataclass(slots=True)
class TestFile:
    """A file of tests as it was traced.

    Attributes:
        seconds: s of CPU by test.
        lines: lines by source file, by test.
        failed: tests that fail, or are skipped, without any fault.
        imported: modules that it imports.
    """

    __test__ = False

    seconds: dict[str, float]
    lines: dict[str, dict[str, frozenset[int]]]
    failed: tuple[str, ...]
    imported: frozenset[str]


@dataclass
class Covering:
    """What all files of tests run.

    Attributes:
        files: by path.
        sources: texts of the source files that may be mutated, by path.
    """

    files: dict[str, TestFile]
    sources: dict[str, str]
    _running: dict[str, dict[int, set[tuple[str, str]]]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._running = {}
        for path, file in self.files.items():
            for test, lines in file.lines.items():
                for source, numbers in lines.items():
                    by_line = self._running.setdefault(source, {})
                    for number in numbers:
                        by_line.setdefault(number, set()).add((path, test))

    def batches(self, mutant: Mutant) -> Iterator[Batch]:
        """Sessions that may tell a mutant: those of `FIRST`, and then the quickest first.

        First come the tests that run its line. A result may be made once and judged by several
        tests, of which the first only runs the line: so all tests of their files follow, and those
        of files that import the module.
        """
        covering: dict[str, list[str]] = {}
        for file, test in self._tests(mutant):
            covering.setdefault(file, []).append(test)
        batches = [self._batch(file, names) for file, names in covering.items()]
        yield from (it for it in batches if it.files[0] in FIRST)
        yield from _joined(sorted((it for it in batches if it.files[0] not in FIRST), key=_cost))
        module = mutant.path.removesuffix(".py").replace("/", ".")
        near = {file for file, it in self.files.items() if module in it.imported}
        whole = (self._batch(file, None) for file in near.union(covering))
        yield from sorted(
            (it for it in whole if not self._has_run(it, covering.get(it.files[0], []))), key=_cost
        )

    def _batch(self, path: str, names: Iterable[str] | None) -> Batch:
        file = self.files[path]
        if names is None:
            return Batch((path,), None, sum(file.seconds.values()))
        ordered = tuple(sorted(names, key=lambda name: (file.seconds[name], name)))
        return Batch((path,), ordered, sum(file.seconds[name] for name in ordered))

    def _has_run(self, whole: Batch, names: Sequence[str]) -> bool:
        return len(names) == len(self.files[whole.files[0]].seconds)

    def _tests(self, mutant: Mutant) -> set[tuple[str, str]]:
        by_line = self._running.get(mutant.path, {})
        tests = self._at(by_line, range(mutant.line, mutant.last + 1))
        if tests:
            return tests
        # A line that runs when it is imported: the tests that run what it defines.
        names = _Definitions(self.sources[mutant.path]).at(mutant.line)
        for source, words in self._words.items():
            lines = {line for name in names for line in words.get(name, ())}
            tests |= self._at(self._running.get(source, {}), lines)
        return tests or self._at(by_line, by_line)

    @cached_property
    def _words(self) -> dict[str, dict[str, set[int]]]:
        """Lines by name, by source file."""
        found: dict[str, dict[str, set[int]]] = {}
        for path, source in self.sources.items():
            words = found.setdefault(path, {})
            for number, line in enumerate(source.splitlines(), 1):
                for word in re.findall(r"[A-Za-z_]\w*", line):
                    words.setdefault(word, set()).add(number)
        return found

    @staticmethod
    def _at(by_line: dict[int, set[tuple[str, str]]], lines: Iterable[int]) -> set[tuple[str, str]]:
        return set().union(*(by_line.get(line, set()) for line in lines))


def _cost(batch: Batch) -> tuple[float, str]:
    return batch.seconds, batch.files[0]


def _joined(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same tests in the same order, in fewer sessions."""
    joined = Batch((), (), 0.0)
    for batch in batches:
        if joined.files and (
            joined.seconds + batch.seconds > SESSION or len(joined.files) == SESSION_FILES
        ):
            yield joined
            joined = Batch((), (), 0.0)
        joined = Batch(
            joined.files + batch.files,
            (joined.tests or ()) + (batch.tests or ()),
            joined.seconds + batch.seconds,
        )
    if joined.files:
        yield joined


class _Definitions:
    """Which names the statements at the level of a module or class define."""

    def __init__(self, source: str) -> None:
        self._module = ast.parse(source)

    def at(self, line: int) -> set[str]:
        """Names that the statements around a line define."""
        found: set[str] = set()
        for node in ast.walk(self._module):
            if not isinstance(node, ast.stmt) or not (
                node.lineno <= line <= (node.end_lineno or node.lineno)
            ):
                continue
            match node:
                case ast.FunctionDef(name=name):
                    found.add(name)
                case ast.Assign(targets=targets):
                    # Also of `a, b = 1, 2`.
                    each = (it for target in targets for it in ast.walk(target))
                    found |= {it.id for it in each if isinstance(it, ast.Name)}
                case ast.AnnAssign(target=ast.Name(id=name)):
                    found.add(name)
                case _:
                    pass
        return found


def trace(
    tree: Path,
    folders: Sequence[str],
    sources: dict[str, str],
    scratch: Path,
    kept: Path,
    progress: Callable[[str], None],
) -> Covering:
    """Run each file of tests under a tracer, unless that was done for the same sources and file.

    Args:
        tree: the copy, in which they are run.
        folders: with the files of tests, and of the packages that may be mutated, from the root.
        sources: texts of the source files that may be mutated, by path.
        scratch: folder for temporary files.
        kept: folder for results.
        progress: called with a line for each file.
    """
    digest = sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()
    packages = [tree / it for it in sorted({_package(path) for path in sources})]
    paths = [
        path.relative_to(tree).as_posix()
        for folder in folders
        for path in sorted((tree / folder).glob("test_*.py"))
        if path.stem not in TOO_LONG
    ]
    files = {}
    for number, path in enumerate(paths, 1):
        text = (tree / path).read_text(encoding="utf-8")
        key = sha256(f"{digest}\n{path}\n{text}".encode()).hexdigest()[:24]
        result = kept / f"{PurePosixPath(path).stem}-{key}.json"
        if not result.exists():
            progress(f"tracing {path} ({number} of {len(paths)})")
            ended = session.run(
                tree,
                scratch,
                ["-p", "no:traced_tests", path],
                PATIENCE / session.CPU_FACTOR,
                lambda: LineTracer(packages, scratch / "coverage"),
            )
            document = ended.report or {"tests": {}, "failed": []}
            if ended.report is None:
                progress(f"{path}: no result (status {ended.status}); its tests are not used")
            with whole_file(result) as out:
                out.write(json.dumps(document))
        files[path] = _test_file(json.loads(result.read_text(encoding="utf-8")), text)
    return Covering(files, sources)


def _package(path: str) -> str:
    """The package of `sim` that a source file is in."""
    return "/".join(PurePosixPath(path).parts[:2])


def _test_file(document: dict[str, Any], text: str) -> TestFile:
    tests = document["tests"]
    return TestFile(
        seconds={name: it["seconds"] for name, it in tests.items()},
        lines={
            name: {path: frozenset(numbers) for path, numbers in it["lines"].items()}
            for name, it in tests.items()
        },
        failed=tuple(document["failed"]),
        imported=frozenset(_imported(text)),
    )


def _imported(text: str) -> Iterator[str]:
    """Modules that a file of tests imports, and what it imports from them."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
