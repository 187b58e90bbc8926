"""Where the trials of a study are made: its flags, and the work itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from pathlib import Path

from sim.experiment import Experiment
from sim.reading.whole_number import whole_number
from sim.study.compile_hint import requests_of, show_compile_hint
from sim.study.conduct import Plan, conduct
from sim.study.executors import cores, dask, processes
from sim.study.observation import Observation
from sim.study.progress import progress
from sim.study.store import Store
from sim.study.trial import Known, Trial

MOST_JOBS = 1024

Submit = Callable[[Trial], Future[Observation]]


def add_where(parser: argparse.ArgumentParser) -> None:
    """Add ``--jobs``, ``--dask`` and ``--resume``."""
    work = parser.add_argument_group("where and how")
    where = work.add_mutually_exclusive_group()
    add_jobs(where)
    where.add_argument(
        "--dask", metavar="ADDRESS", help="scheduler of a Dask cluster that predicts instead"
    )
    work.add_argument(
        "--resume",
        metavar="FILE",
        help="keep predictions in a file, and take those that it has from there",
    )


def add_jobs(group: argparse._ActionsContainer) -> None:
    """Add ``--jobs``."""
    group.add_argument(
        "--jobs",
        type=whole_number("--jobs", 1, MOST_JOBS),
        metavar="N",
        help="processes that predict [all processors]",
    )


def carry_out(
    args: argparse.Namespace,
    bases: Sequence[Experiment],
    plan: Plan,
    remaining: Callable[[Known], int],
    submit_to: Callable[[Executor], Submit],
) -> tuple[Known, bool]:
    """Carry a plan out where the command line says; what is known, and whether Ctrl-C ended it."""
    with ExitStack() as stack:
        store = None
        known: Known = {}
        if args.resume is not None:
            store = stack.enter_context(Store(Path(args.resume), bases))
            known = store.known
        if not plan(known):
            return known, False
        # A run is of one of the bases; the mean of two will do.
        show_compile_hint(requests_of(bases, remaining(known)) / len(bases))
        executor = stack.enter_context(
            processes(args.jobs or cores()) if args.dask is None else dask(args.dask)
        )
        advance = stack.enter_context(progress("predicting"))
        try:
            observed = conduct(plan, known, submit_to(executor))
            for made, (trial, observation) in enumerate(observed, start=1):
                if store is not None:
                    store.add(trial, observation)
                advance(made, remaining(known))
        except KeyboardInterrupt:
            return known, True
    return known, False


def interruption(args: argparse.Namespace, runs: int, *, stopped: bool) -> tuple[str, ...]:
    """A notice where Ctrl-C has ended the work: what there is, and how to go on."""
    if not stopped:
        return ()
    again = (
        f"the same command goes on from {args.resume}"
        if args.resume is not None
        else "with --resume FILE, the next one can go on from here"
    )
    return (f"Interrupted: this is what {runs:,} runs say; {again}.",)
