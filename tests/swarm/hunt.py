"""Predicts experiments of every kind until one is wrong.

Goal: a fault of the model is found here, and not by a user. Method: chance puts together what can
be said (`any_experiment`), and what must hold for every prediction is looked at (`invariants`). An
experiment that fails is made as simple as it can be, and written to a file for `tests/model`.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import tomli_w
from any_experiment import any_experiment
from jury import Jury
from shrink import shrunk
from this_commit import this_commit

from sim import compiled
from sim.command import INTERRUPTED, write_stdout
from sim.experiment import Experiment
from sim.experiment.document import to_dict
from sim.study.executors import cores
from tests.campaigns import add_record_argument, record

#: Where an experiment that failed is put.
FOUND = Path(__file__).parent / "found"

#: s between two lines of progress.
PROGRESS = 10.0


class Swarm:
    """Juries that take experiments by turns, until the time is over or one has failed.

    State: ``judged`` (experiments so far), ``failed`` (number and faults of the first that failed).
    """

    def __init__(self, seed: int, first: int, deadline: float) -> None:
        self.seed = seed
        self.deadline = deadline
        self.judged = 0
        self.failed: tuple[int, list[str]] | None = None
        self.error: BaseException | None = None
        self.stopped = threading.Event()
        self._numbers = count(first)
        self._lock = threading.Lock()

    def judge(self) -> None:
        """Judge one experiment after the other; for a thread."""
        try:
            with Jury() as jury:
                while not self.stopped.is_set() and time.monotonic() < self.deadline:
                    with self._lock:
                        number = next(self._numbers)
                    faults = jury.faults(any_experiment(self.seed, number))
                    with self._lock:
                        self.judged += 1
                        if faults and (self.failed is None or number < self.failed[0]):
                            self.failed = number, faults
                    if faults:
                        self.stopped.set()
        except BaseException as error:  # The main thread raises it.
            self.error = error
            self.stopped.set()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 1 when an experiment has failed."""
    args = _parser().parse_args(arguments)
    write_stdout(f"seed {args.seed}, from number {args.first}, commit {this_commit()}\n")
    if not compiled.is_fresh():
        write_stdout("interpreted only: python -m sim compile compiles the model\n")
    began = time.monotonic()
    swarm = Swarm(args.seed, args.first, began + 60 * args.minutes)
    threads = [threading.Thread(target=swarm.judge) for _ in range(args.processes)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(PROGRESS)
                sys.stderr.write(f"\r{_progress(swarm, began)}")
                sys.stderr.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        swarm.stopped.set()
        for thread in threads:
            thread.join()
        tried = range(args.first, args.first + swarm.judged)
        failed = int(swarm.failed is not None)
        record(args.record, "swarm", "", args.seed, tried, failed, time.monotonic() - began)
    if swarm.error is not None:
        raise swarm.error
    write_stdout(f"\n{_progress(swarm, began)}\n")
    if swarm.failed is None:
        return 0
    number, faults = swarm.failed
    write_stdout("\n".join((f"number {number} fails:", *faults, "")))
    write_stdout(f"written: {_write(number, args.seed)}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.swarm",
        description="Predict experiments of every kind, and say which prediction cannot be.",
        allow_abbrev=False,
    )
    parser.add_argument("--minutes", type=float, default=1.0, help="how long [1]")
    parser.add_argument("--seed", type=int, default=1, help="of the experiments [1]")
    parser.add_argument("--first", type=int, default=0, help="number of the first experiment [0]")
    parser.add_argument(
        "--processes",
        type=int,
        default=cores(),
        help="pairs of processes that judge [one for each processor]",
    )
    add_record_argument(parser)
    return parser


def _progress(swarm: Swarm, began: float) -> str:
    taken = time.monotonic() - began
    return f"{swarm.judged} experiments in {taken:.0f} s, {swarm.judged / taken:.0f} a second"


def _write(number: int, seed: int) -> Path:
    """Make the experiment as simple as it can be while it fails, and write it to a file."""
    with Jury() as jury:

        def fails(asked: Experiment) -> bool:
            return bool(jury.faults(asked))

        simplest = shrunk(any_experiment(seed, number), fails)
    FOUND.mkdir(exist_ok=True)
    path = FOUND / f"seed-{seed}-number-{number}.toml"
    path.write_text(tomli_w.dumps(to_dict(simplest)), encoding="utf-8")
    return path
