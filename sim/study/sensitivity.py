"""``python -m sim sensitivity``: what published figures owe to each fitted number.

Each number of `sim.study.fitted` is set to 0.8 and to 1.2 of itself, one at a time, and the
experiments of README are predicted with that. Constants are patched in processes of their own that
run the interpreted model, for compiled code has them inlined. `NOISE` variants of the unchanged
model say which moves are only chance.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any, Final, NamedTuple

from sim.analysis.summary import summarize
from sim.command import called, write_stdout
from sim.compiled import INTERPRETED
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.reading.one_line_parser import OneLineParser
from sim.reports.output import show_report
from sim.reports.progress import progress
from sim.study.executors import cores, processes
from sim.study.fitted import COSTS, FITTED, Fitted

#: What a number is multiplied with.
FACTORS: Final = (0.8, 1.2)

#: Variants of the server's chances that a figure is the mean of, and those that tell how much the
#: mean of so many moves by chance.
VARIANTS: Final = 3
NOISE: Final = 12

#: Requests of each prediction.
REQUESTS: Final = 1_500

#: Of moves in a document.
DIGITS: Final = 4

SCHEMA: Final = "gunicorn-sensitivity/1"


def _served(workers: int, threads: int) -> Experiment:
    server = Server(workers=workers, threads=threads, worker_class="gthread", preload_app=True)
    traffic = Traffic(rate=56.0, requests=REQUESTS, io=Distribution("exp", (0.05,)))
    return Experiment(server=server, traffic=traffic, replications=1)


#: README's loads, of more requests: 56 requests/s of 50 ms, to four threads.
EXPERIMENTS: Final = {
    "gthread 2 x 2": _served(2, 2),
    "gthread 4 x 1": _served(4, 1),
    "gthread 1 x 4": _served(1, 4),
}


class Figures(NamedTuple):
    """What is looked at of a prediction.

    Attributes:
        mean: latency, s.
        p95: latency, s.
        share: of the connections that worker 1 accepts.
    """

    mean: float
    p95: float
    share: float


@contextmanager
def patched(number: Fitted, factor: float) -> Iterator[None]:
    """Have the interpreted model use ``factor`` times a constant of its modules.

    Every module that has imported it has a name of its own for it.
    """
    defined = importlib.import_module(number.module)
    value = getattr(defined, number.name)
    holders = [
        module
        for name, module in sorted(sys.modules.items())
        if name.startswith("sim.model") and vars(module).get(number.name) is value
    ]
    for module in holders:
        setattr(module, number.name, scaled(number, value, factor))
    try:
        yield
    finally:
        for module in holders:
            setattr(module, number.name, value)


def scaled(number: Fitted, value: Any, factor: float) -> Any:  # noqa: ANN401 - a number, or several
    """``factor`` times a number, or each of several; a probability is at most 1."""
    if isinstance(value, tuple):
        return tuple(scaled(number, each, factor) for each in value)
    return min(1.0, value * factor) if number.probability else value * factor


def figures(experiment: str, variant: int, number: Fitted | None, factor: float) -> Figures:
    """Predict one of `EXPERIMENTS` in one variant, with a number changed, if any."""
    # In here: a process that predicts imports the interpreted model.
    from sim.model.simulation import predict  # noqa: PLC0415

    asked = EXPERIMENTS[experiment]
    if number is None:
        run = predict(asked, 0, variant)
    elif number.module == COSTS:
        value = scaled(number, getattr(asked.costs, number.name), factor)
        costs = replace(asked.costs, **{number.name: value})
        run = predict(replace(asked, costs=costs), 0, variant)
    else:
        with patched(number, factor):
            run = predict(asked, 0, variant)
    summary = summarize([run])
    assert summary.latency is not None, "these loads lose no request"
    worker = summary.workers[0].share
    assert worker is not None, "these loads lose no request"
    return Figures(summary.latency.mean.value, summary.latency.p95.value, worker.value)


def _mean(of: Sequence[Figures]) -> Figures:
    return Figures(*(fmean(column) for column in zip(*of, strict=True)))


def sensitivities(executor: Executor, numbers: Sequence[Fitted] = FITTED) -> dict[str, Any]:
    """How far figures move with each number, as a document.

    Changes of latencies are relative, those of shares in shares; ``chance`` is two standard errors
    of such a change where nothing but chance is behind it.
    """
    base = {
        name: [executor.submit(figures, name, v, None, 1.0) for v in range(NOISE)]
        for name in EXPERIMENTS
    }
    changed = {
        (number, factor, name): [
            executor.submit(figures, name, v, number, factor) for v in range(VARIANTS)
        ]
        for number in numbers
        for factor in FACTORS
        for name in EXPERIMENTS
    }
    every = [future for futures in (*base.values(), *changed.values()) for future in futures]
    with progress("predicting", len(every)) as done:
        for count, future in enumerate(every, start=1):
            future.result()
            done(count)
    # The same variants: a number that an experiment does not use moves nothing at all.
    plain = {name: [future.result() for future in futures] for name, futures in base.items()}
    start = {name: _mean(runs[:VARIANTS]) for name, runs in plain.items()}
    rows = []
    for number in numbers:
        moves = {
            name: [
                _move(start[name], _mean([f.result() for f in changed[number, factor, name]]))
                for factor in FACTORS
            ]
            for name in EXPERIMENTS
        }
        rows.append({**number._asdict(), "moves": moves})
    return {
        "schema": SCHEMA,
        "factors": list(FACTORS),
        "requests": REQUESTS,
        "variants": VARIANTS,
        "experiments": {
            name: {"base": _mean(runs)._asdict(), "chance": _chance(runs)}
            for name, runs in plain.items()
        },
        "numbers": rows,
    }


def _move(before: Figures, after: Figures) -> dict[str, float]:
    return {
        "mean": round(after.mean / before.mean - 1, DIGITS),
        "p95": round(after.p95 / before.p95 - 1, DIGITS),
        "share": round(after.share - before.share, DIGITS),
    }


def _chance(runs: Sequence[Figures]) -> dict[str, float]:
    """Two standard errors of the difference of two means of `VARIANTS` predictions."""
    middle, width = _mean(runs), 2.0 * (2.0 / VARIANTS) ** 0.5
    mean, p95, share = (width * stdev(column) for column in zip(*runs, strict=True))
    return {"mean": mean / middle.mean, "p95": p95 / middle.p95, "share": share}


def main(arguments: Sequence[str]) -> None:
    """Do what the command line asks for.

    Args:
        arguments: of the command line, the first of which is ``sensitivity``.

    Raises:
        ExperimentError: when a process that predicts was ended from outside.
        SystemExit: after ``--help``, and when a flag cannot be parsed.
    """
    parser = OneLineParser(
        prog=f"{called('sim')} sensitivity",
        description="Change each fitted number of the model by 20 % and print how far the figures "
        "of README's experiments move. Takes some minutes.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, no table")
    args = parser.parse_args(arguments[1:])
    os.environ[INTERPRETED] = "1"
    with processes(cores()) as executor:
        document = sensitivities(executor)
    if args.json:
        write_stdout(f"{json.dumps(document, indent=1)}\n")
        return
    from sim.study.sensitivity_report import print_sensitivities  # noqa: PLC0415 - rich

    show_report(lambda console: print_sensitivities(console, document))
