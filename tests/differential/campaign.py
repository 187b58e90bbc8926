"""Measures experiments that nobody has chosen, and holds each against its predictions.

Goal: where the model and real Gunicorn differ, on any worker class and release, it is found here.
Method: chance puts together experiments that the real server does in seconds (`small_experiment`).
Each is predicted `VARIANTS` times, measured, and judged by the rank test with what `traffic_looks`
judges: outcomes, throughput, and the distributions of latencies and waits. One that surprises is
measured again, up to `LOOKS` times in all, and fails if every measurement surprises.

False alarms, if the model is right: a measurement surprises once in `RANKED` + 1 experiments, and
an experiment fails once in comb(`RANKED` + `LOOKS`, `LOOKS`) = 117,480. So a session of 100
experiments expects 1.1 first surprises, and fails by chance once in 1,175 (`rank_test`).
Predictions have the default costs of a request, so another machine than theirs surprises more
often. What a process's life costs here is measured every few minutes, because the same machine
imports and ends more than twice as slowly in one hour as in another.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count, cycle, islice
from math import comb
from pathlib import Path
from random import Random
from typing import Final

from compiled_processes import in_processes
from host_costs import drawn
from looks import measured_run
from predictions import CONTEXT, predicted_run
from rank_test import FALSE_ALARM, LOOKS, RANKED, VARIANTS, RankTest
from this_commit import this_commit
from traffic_looks import criteria

from reference_app.calibration.life import life_costs
from reference_app.rig import releases
from reference_app.rig.processor import processor
from sim.command import INTERRUPTED, write_stdout
from sim.errors import ExperimentError
from sim.experiment import Experiment
from sim.experiment.costs import Costs
from sim.experiment.document import to_dict
from sim.run import Run
from tests.campaigns import add_record_argument, record
from tests.differential.rows import Row, read
from tests.differential.small_experiment import RELEASES, small_experiment
from tests.json_rows import open_rows, write_row

#: Experiments that are predicted before they are measured, one after the other: processes that
#: predict take seconds to start, and would disturb what is measured.
BATCH: Final = 4

#: Of one measurement, if the model is right.
SURPRISE: Final = 1 / (RANKED + 1)

#: s after which what a process's life costs is measured anew.
FRESH: Final = 180.0

#: Measures an experiment once.
Measure = Callable[[Experiment], Run]


class Life:
    """What a process's life costs on this machine, as a part of the defaults."""

    def __init__(self) -> None:
        self._measured_at = -math.inf
        self._parts: dict[str, float] = {}

    def of(self, costs: Costs) -> Costs:
        """The costs, with those of a process's life as much longer as they are here now."""
        if time.monotonic() > self._measured_at + FRESH:
            defaults = Costs()
            measured = life_costs(None, launchdarkly=False)
            self._parts = {name: cost / getattr(defaults, name) for name, cost in measured.items()}
            self._measured_at = time.monotonic()
        here = {name: getattr(costs, name) * part for name, part in self._parts.items()}
        return replace(costs, **here)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 when an experiment fails or is not measured."""
    args = _parser().parse_args(arguments)
    began = time.monotonic()
    deadline = began + 60 * args.minutes
    commit, machine = this_commit(), processor()
    write_stdout(f"seed {args.seed}, from number {args.first}, commit {commit}, {machine}\n")
    present = [row for row in read(args.rows) if (row.seed, row.commit) == (args.seed, commit)]
    earlier = len(present)
    missing = _missing_releases()
    known = {row.number for row in present}
    life = Life()
    experiments = (
        (number, replace(experiment, costs=life.of(experiment.costs)))
        for number in count(args.first)
        if number not in known
        and (experiment := small_experiment(args.seed, number)).server.gunicorn not in missing
    )
    try:
        with open_rows(args.rows) as file:
            for row in judged(experiments, deadline, measured_run, args.seed, commit, machine):
                write_row(file, row)
                present.append(row)
                sys.stderr.write(f"{_line(row)}\n")
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        write_stdout(report(present))
        measured = [row for row in present[earlier:] if not row.error]
        first = min((row.number for row in measured), default=args.first)
        tried, failed = range(first, first + len(measured)), sum(map(_fails, measured))
        record(args.record, "differential", "", args.seed, tried, failed, time.monotonic() - began)
    return 1 if any(_fails(row) or row.error for row in present) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.differential",
        description="Measure experiments that nobody has chosen, and say which are predicted as "
        "something else. The machine has to do nothing else meanwhile.",
        allow_abbrev=False,
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="how long [1]")
    parser.add_argument("--seed", type=int, default=1, help="of the experiments [1]")
    parser.add_argument("--first", type=int, default=0, help="number of the first experiment [0]")
    parser.add_argument(
        "--rows",
        type=Path,
        default=Path("differential.jsonl"),
        help="file of what became of each, which a later session goes on with [differential.jsonl]",
    )
    add_record_argument(parser)
    return parser


def _missing_releases() -> set[str]:
    """Releases that cannot be installed here, which are left out."""
    missing: set[str] = set()
    for release in RELEASES:
        try:
            releases.quietly(release)
        except ExperimentError as error:
            missing.add(release)
            write_stdout(f"without Gunicorn {release}: {error}\n")
    return missing


def judged(
    experiments: Iterable[tuple[int, Experiment]],
    deadline: float,
    measure: Measure,
    seed: int,
    commit: str,
    machine: str,
) -> Iterable[Row]:
    """A row for each experiment, until the time is over.

    Args:
        experiments: and their numbers.
        deadline: after which no batch is begun that may not end in time, s of the monotonic clock.
        measure: measures one of them.
        seed: as of `Row`.
        commit: the same.
        machine: the same.
    """
    remaining, longest = iter(experiments), 0.0
    while time.monotonic() + longest < deadline:
        began = time.monotonic()
        batch = dict(islice(remaining, BATCH))
        if not batch:
            return
        predicted = _predicted(seed, batch)
        for number, experiment in batch.items():
            complaints, error = [], ""
            try:
                complaints = looks(experiment, predicted[number], measure)
            except ExperimentError as problem:
                error = str(problem)
            server = experiment.server
            yield Row(
                seed,
                number,
                commit,
                machine,
                server.worker_class,
                server.gunicorn,
                to_dict(experiment),
                complaints,
                error,
            )
        longest = max(longest, time.monotonic() - began)


def _predicted(seed: int, batch: Mapping[int, Experiment]) -> dict[int, list[Run]]:
    """Predictions of each experiment, with costs near its own and other seeds of the server's."""
    each = CONTEXT + VARIANTS
    variants = []
    for number, experiment in batch.items():
        random = Random(f"differential {seed} {number}")
        variants += [
            replace(experiment, costs=drawn([experiment.costs], random)) for _ in range(each)
        ]
    runs = in_processes(predicted_run, variants, cycle(range(each)))
    return {number: runs[place * each : (place + 1) * each] for place, number in enumerate(batch)}


def looks(experiment: Experiment, predicted: Sequence[Run], measure: Measure) -> list[str]:
    """What each look finds that no prediction has, up to the first that finds nothing.

    Args:
        experiment: that is measured.
        predicted: `CONTEXT` and `VARIANTS` predictions of it, in random order.
        measure: measures it once.
    """
    criterion = criteria(predicted[:CONTEXT])
    test = RankTest([criterion.statistics(run) for run in predicted[CONTEXT:]], criterion.tolerance)
    complaints: list[str] = []
    while len(complaints) < LOOKS:
        complaint = test.complaint(criterion.statistics(measure(experiment)))
        if complaint is None:
            break
        complaints.append(complaint)
    return complaints


def _fails(row: Row) -> bool:
    return len(row.complaints) == LOOKS


def _line(row: Row) -> str:
    """One experiment as progress."""
    found = f"{len(row.complaints)} surprises" if row.complaints else "as predicted"
    return f"{row.number}: {row.worker_class} on {row.gunicorn}: {row.error or found}"


def report(rows: Sequence[Row]) -> str:
    """What was found, beside what chance alone would find."""
    measured = [row for row in rows if not row.error]
    first = sum(bool(row.complaints) for row in measured)
    failed = [row for row in measured if _fails(row)]
    number = len(measured)
    chance = at_least(first, number, SURPRISE)
    lines = [
        f"{number} experiments; first looks that surprise: {first}, expected "
        f"{number * SURPRISE:.1f} (as many or more by chance: {chance:.2g})",
        f"surprises at each of {LOOKS} looks: {len(failed)}, expected {number * FALSE_ALARM:.2g}",
    ]
    surprised = Counter(
        f"{row.worker_class} on {row.gunicorn}" for row in measured if row.complaints
    )
    lines += [f"  {server}: {times} surprised" for server, times in sorted(surprised.items())]
    for row in failed:
        lines += [f"number {row.number}, {row.worker_class} on {row.gunicorn}, fails:"]
        lines += [f"  {complaint}" for complaint in row.complaints]
    lines += [f"number {row.number} was not measured: {row.error}" for row in rows if row.error]
    return "\n".join(lines) + "\n"


def at_least(found: int, number: int, chance: float) -> float:
    """The probability of ``found`` or more of ``number`` that each have this ``chance``."""
    return sum(
        comb(number, each) * chance**each * (1 - chance) ** (number - each)
        for each in range(found, number + 1)
    )
