"""Puts small faults into the model, one at a time, and counts those that a test notices.

Goal: the share of faults that the tests would catch, measured. Method: Cosmic Ray says which faults
a source can have, and makes them (`operators`). A seeded sample of them is drawn (`sample`). Each
is given, in a copy of the tree, to the tests that run its line (`covering`), the quickest first,
until one fails. Only the choice of tests and their order are ours: without them every fault would
take the whole suite.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from sim.command import INTERRUPTED, TERMINATED, write_stdout
from tests.json_rows import open_rows, write_row
from tests.mutation import rows, session
from tests.mutation.checkout import copy_tree, mutated
from tests.mutation.covering import Covering, trace
from tests.mutation.mutant import Faults, Mutant
from tests.mutation.plugins import FirstFailure
from tests.mutation.rows import Equivalent, Row
from tests.mutation.sample import sample
from tests.mutation.score import Score, score

ROOT: Final = Path(__file__).parents[2]

#: Packages that are mutated by default: what predicts, and what reads predictions.
PACKAGES: Final = ("sim/analysis", "sim/model")

#: Folders whose tests may notice.
TESTS: Final = ("tests/unit", "tests/model")

#: Of the process and its sessions, unless told otherwise.
NICENESS: Final = 19

#: s of CPU that further tests of the same files may take together, where those that run the line
#: have passed.
FURTHER: Final = 30.0


class Project(NamedTuple):
    """What is mutated, and by which tests it is judged.

    Attributes:
        root: of the repository.
        packages: folders of all sources that may be mutated, from the root.
        tests: folders of tests.
        start: s of CPU that a session of tests may take besides its tests.
    """

    root: Path
    packages: Sequence[str]
    tests: Sequence[str]
    start: float = session.START

    def sources(self) -> dict[str, str]:
        """Texts of all sources, by path from the root."""
        paths = [path for it in self.packages for path in sorted((self.root / it).rglob("*.py"))]
        return {
            path.relative_to(self.root).as_posix(): path.read_text(encoding="utf-8")
            for path in paths
        }

    def tests_digest(self) -> str:
        """Hash of all tests that may notice a mutant."""
        digest = sha256()
        for folder in self.tests:
            for path in sorted((self.root / folder).glob("*.py")):
                digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 when the score is below what was asked for."""
    parser = _parser()
    args = parser.parse_args(arguments)
    try:
        from tests.mutation.operators import CosmicRay  # noqa: PLC0415 - of the extra `mutation`
    except ImportError as error:
        parser.error(f"{error.name} cannot be imported; expected pip install -e '.[mutation]'")
    packages = args.package or [*PACKAGES]
    for package in packages:
        if not (ROOT / package).is_dir():
            parser.error(f"--package: found {package!r}; expected a folder, as sim/analysis")
    os.nice(max(0, args.nice - os.nice(0)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    project = Project(ROOT, PACKAGES, TESTS)
    draw = Draw(args.sample, args.seed)
    try:
        population, results = campaign(
            project, CosmicRay(), packages, draw, args.rows, rows.equivalents(), 60 * args.minutes
        )
    except KeyboardInterrupt:
        _say(f"interrupted; {args.rows} has the mutants so far, and the same command goes on")
        return INTERRUPTED
    scores = {
        package: score(row.outcome for row in results if row.mutant.is_below(package))
        for package in packages
    }
    if args.json:
        document = _document(args.seed, scores, population, results)
        write_stdout(json.dumps(document, indent=1) + "\n")
    else:
        write_stdout(_survivors(results))
        write_stdout(_table(scores))
    worst = min(it.share for it in scores.values())
    return 1 if 100 * worst < args.at_least else 0


class Draw(NamedTuple):
    """Which mutants are tried.

    Attributes:
        number: how many; None for all.
        seed: of the sample.
    """

    number: int | None
    seed: int


def campaign(
    project: Project,
    faults: Faults,
    packages: Sequence[str],
    draw: Draw,
    file: Path,
    known: Sequence[Equivalent],
    seconds: float = math.inf,
) -> tuple[list[Mutant], list[Row]]:
    """Try a sample of the mutants of a project.

    Args:
        project: the sources and tests.
        faults: makes the mutants.
        packages: folders of the sources that are mutated.
        draw: how many mutants, and which.
        file: of rows, which those of earlier sessions are taken from.
        known: mutants that are not tried.
        seconds: s after which no further mutant is tried.

    Returns:
        All mutants, and a row for each that was drawn and tried, now or before.
    """
    sources = project.sources()
    chosen = [path for path in sources if any(path.startswith(f"{it}/") for it in packages)]
    population = [it for path in chosen for it in faults.mutants(path, sources[path])]
    hashes = {path: sha256(text.encode()).hexdigest()[:16] for path, text in sources.items()}
    tests = project.tests_digest()
    earlier = rows.read(file)
    results: dict[Mutant, Row] = {}
    again: list[Mutant] = []
    left: list[Mutant] = []
    for mutant in sample(population, draw.number, draw.seed):
        changed = faults.change(mutant, sources[mutant.path])
        if changed is None:
            continue
        if any(it.is_of(mutant, changed) for it in known):
            results[mutant] = Row(
                mutant, changed.before, changed.after, "equivalent", None, "", tests
            )
            continue
        row = earlier.get(mutant)
        if row is None or row.source != hashes[mutant.path]:
            left.append(mutant)
            continue
        # It counts as what it was until it has been tried again: left out, it would flatter.
        results[mutant] = row
        if row.outcome == "survived" and row.tests != tests:
            again.append(mutant)
    left = again + left
    if left and seconds > 0:
        session.preload()
        with tempfile.TemporaryDirectory(prefix="mutation-") as name, open_rows(file) as out:
            trial = Trial(project, faults, sources, Path(name), kept=file.with_suffix(".traced"))
            began = time.monotonic()
            for tried, mutant in enumerate(left, 1):
                row = trial.row(mutant, hashes[mutant.path], tests)
                write_row(out, row)
                results[mutant] = row
                taken = time.monotonic() - began
                _progress(row, tried, len(left), taken)
                if taken > seconds:
                    break
    return population, [*results.values()]


class Trial:
    """Gives mutants to tests, in a copy of a project.

    Args:
        project: the sources and tests.
        faults: makes the mutants.
        sources: texts of the sources, by path.
        scratch: folder for the copy and temporary files.
        kept: folder for which test runs which line.
    """

    def __init__(
        self,
        project: Project,
        faults: Faults,
        sources: dict[str, str],
        scratch: Path,
        kept: Path,
    ) -> None:
        self._faults, self._sources, self._start = faults, sources, project.start
        self._tree, self._scratch = scratch / "tree", scratch / "session"
        self._scratch.mkdir()
        kept.mkdir(exist_ok=True)
        copy_tree(project.root, self._tree)
        self._covering: Covering = trace(
            self._tree, project.tests, sources, self._scratch, kept, _say
        )

    def row(self, mutant: Mutant, source: str, tests: str) -> Row:
        """Try a mutant; ``source`` and ``tests`` are hashes."""
        changed = self._faults.change(mutant, self._sources[mutant.path])
        assert changed is not None, "what is no program is not tried"
        make = partial(Row, mutant, changed.before, changed.after, source=source, tests=tests)
        further = FURTHER
        with mutated(self._tree / mutant.path, changed.source):
            for batch in self._covering.batches(mutant):
                if batch.tests is None:
                    if batch.seconds > further:
                        continue
                    further -= batch.seconds
                files = self._covering.files
                failed = [name for file in batch.files for name in files[file].failed]
                ended = session.run(
                    self._tree,
                    self._scratch,
                    ["-x", "--no-header", "--tb=no", *batch.files],
                    batch.seconds,
                    partial(FirstFailure, batch.tests, failed),
                    self._start,
                )
                if ended.hung:
                    return make("hung", " ".join(batch.files))
                if ended.status not in (0, 5):
                    name = (ended.report or {}).get("failed")
                    return make("killed", name or " ".join(batch.files))
        return make("survived", None)


def _survivors(results: Iterable[Row]) -> str:
    """The diffs of those that survived, by place."""
    surviving = [row for row in results if row.outcome == "survived"]
    return "".join(
        f"{row.mutant.path}:{row.mutant.line} {row.mutant.operator}\n"
        f"  - {row.before}\n  + {row.after}\n"
        for row in sorted(surviving, key=lambda row: row.mutant)
    )


def _table(scores: dict[str, Score]) -> str:
    lines = []
    for package, it in scores.items():
        low, high = it.interval()
        lines.append(
            f"{package}: {it.tried} mutants, {it.killed} killed, {it.hung} hung, {it.survived} "
            f"survived, {it.equivalent} equivalent; score {100 * it.share:.1f} % "
            f"({100 * low:.1f} to {100 * high:.1f} %)\n"
        )
    return "".join(lines)


def _document(
    seed: int,
    scores: dict[str, Score],
    population: Sequence[Mutant],
    results: Iterable[Row],
) -> dict[str, Any]:
    """What the site publishes."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607 - wherever it is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "library": "cosmic-ray",
        "seed": seed,
        "packages": [
            {
                "package": package,
                "mutants": sum(mutant.is_below(package) for mutant in population),
                "tried": it.tried,
                "killed": it.killed,
                "hung": it.hung,
                "survived": it.survived,
                "equivalent": it.equivalent,
                "low": round(it.interval()[0], 4),
                "high": round(it.interval()[1], 4),
            }
            for package, it in scores.items()
        ],
        "survivors": [
            {
                "path": row.mutant.path,
                "line": row.mutant.line,
                "before": row.before,
                "after": row.after,
            }
            for row in sorted(results, key=lambda row: row.mutant)
            if row.outcome == "survived"
        ],
    }


def _progress(row: Row, tried: int, number: int, seconds: float) -> None:
    left = seconds / tried * (number - tried) / 60
    _say(
        f"{tried} of {number}, {left:.0f} min left: {row.outcome}: {row.mutant.path}:"
        f"{row.mutant.line}: {row.before} -> {row.after}" + (f" [{row.test}]" if row.test else "")
    )


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation",
        description="Put faults into the model, and count those that a test notices.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--package", action="append", help=f"folder of sources [{' and '.join(PACKAGES)}]"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="mutants to draw [all]")
    parser.add_argument("--seed", type=int, default=1, help="of the sample [1]")
    parser.add_argument(
        "--rows",
        type=Path,
        default=Path("mutation.jsonl"),
        metavar="FILE",
        help="what became of each; a later session goes on with it [mutation.jsonl]",
    )
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="after which no further mutant is tried"
    )
    parser.add_argument("--json", action="store_true", help="print what the site publishes")
    parser.add_argument(
        "--at-least",
        type=float,
        default=0.0,
        metavar="PERCENT",
        help="score of each package below which the exit status is 1 [0]",
    )
    parser.add_argument("--nice", type=int, default=NICENESS, help=f"of processes [{NICENESS}]")
    return parser
