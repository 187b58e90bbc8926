"""``python -m sim sensitivity``: what published figures owe to each fitted number.

Each number of `sim.study.fitted` is set to 0.8 and to 1.2 of itself, one at a time, and the
experiments of README are predicted with that. Constants are patched in processes of their own that
run the interpreted model, for compiled code has them inlined.

Both sides of a move are predicted with the same requests and the same seeds (common random
numbers). So a number that an experiment does not use moves nothing at all, and one that it seldom
uses changes few variants. What remains of chance is the standard error of the paired differences,
as for a ratio estimator (Law, *Simulation Modeling and Analysis*, 5th ed., sections 9.4 and 11.2).
A move within `CHANCE` of its standard errors says nothing.

``--machines`` asks the same of the costs of steps: `sim.study.machine_sensitivity`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, product
from statistics import fmean, stdev
from typing import Any, Final, NamedTuple, TypeVar

from sim.analysis.summary import summarize
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.fitted.number import COSTS, Fitted
from sim.reports.progress import progress
from sim.run import Run
from sim.study.fitted import FITTED

#: What a number is multiplied with.
FACTORS: Final = (0.8, 1.2)

#: Variants of the server's chances that a figure is the mean of.
VARIANTS: Final = 150

#: Variants that find out whether a number moves an experiment at all. A number that changes not one
#: of them is not used there.
PROBES: Final = 5

#: Requests of each prediction.
REQUESTS: Final = 1_500

#: Standard errors that a move must exceed. Of about a thousand moves, chance alone exceeds them in
#: three.
CHANCE: Final = 3.0

#: Of moves in a document.
DIGITS: Final = 4

SCHEMA: Final = "gunicorn-sensitivity/2"


def _served(server: Server) -> Experiment:
    traffic = Traffic(rate=56.0, requests=REQUESTS, io=Distribution("exp", (0.05,)))
    return Experiment(server=replace(server, preload_app=True), traffic=traffic, replications=1)


def _gthread(workers: int, threads: int) -> Server:
    return Server(workers=workers, threads=threads, worker_class="gthread")


#: README's loads, of more requests: 56 requests/s of 50 ms, to four threads.
EXPERIMENTS: Final = {
    "gthread 2 x 2": _served(_gthread(2, 2)),
    "gthread 4 x 1": _served(_gthread(4, 1)),
    "gthread 1 x 4": _served(_gthread(1, 4)),
    "gthread 2 x 2, worker_connections 2": _served(replace(_gthread(2, 2), worker_connections=2)),
    "sync 4": _served(Server(workers=4)),
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


#: What is changed, in one experiment.
Case = TypeVar("Case", bound=Hashable)

#: Waits for predictions, and has their figures; see `collector`.
Results = Callable[[Iterable[Future[Figures]]], list[Figures]]

#: The move of a number that an experiment does not use.
NO_MOVE: Final = {
    **dict.fromkeys(Figures._fields, 0.0),
    "chance": dict.fromkeys(Figures._fields, 0.0),
}


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

    case = EXPERIMENTS[experiment]
    if number is None:
        run = predict(case, 0, variant)
    elif number.module == COSTS:
        value = scaled(number, getattr(case.costs, number.name), factor)
        costs = replace(case.costs, **{number.name: value})
        run = predict(replace(case, costs=costs), 0, variant)
    else:
        with patched(number, factor):
            run = predict(case, 0, variant)
    return figures_of(run)


def figures_of(run: Run) -> Figures:
    """What is looked at of a prediction."""
    summary = summarize([run])
    assert summary.latency is not None, "these loads lose no request"
    worker = summary.workers[0].share
    assert worker is not None, "these loads lose no request"
    return Figures(summary.latency.mean.value, summary.latency.p95.value, worker.value)


def sensitivities(executor: Executor, numbers: Sequence[Fitted] = FITTED) -> dict[str, Any]:
    """How far figures move with each number, as a document.

    Moves of latencies are relative, those of shares in shares. Each has its ``chance``: `CHANCE`
    standard errors of it.

    Args:
        executor: of processes that run the interpreted model, or of threads that do.
        numbers: those to change.
    """
    cases = {case: case[1] for case in product(numbers, EXPERIMENTS, FACTORS)}

    def submit(case: tuple[Fitted | None, str, float], variants: range) -> list[Future[Figures]]:
        number, name, factor = case
        return [executor.submit(figures, name, v, number, factor) for v in variants]

    base = {name: submit((None, name, 1.0), range(VARIANTS)) for name in EXPERIMENTS}
    with progress("predicting", VARIANTS * (len(EXPERIMENTS) + len(cases))) as done:
        results = collector(done)
        before = {name: results(futures) for name, futures in base.items()}
        moves = moves_by_case(cases, submit, results, before, PROBES)
    rows = [
        {
            **number._asdict(),
            "moves": {
                name: [moves[number, name, factor] for factor in FACTORS] for name in EXPERIMENTS
            },
        }
        for number in numbers
    ]
    return {
        "schema": SCHEMA,
        "factors": list(FACTORS),
        "requests": REQUESTS,
        "variants": VARIANTS,
        "standard_errors": CHANCE,
        "experiments": {name: means(runs)._asdict() for name, runs in before.items()},
        "numbers": rows,
    }


def collector(done: Callable[[int], None]) -> Results:
    """What waits for predictions, and tells ``done`` how many there are so far."""
    counter = count(1)

    def results(futures: Iterable[Future[Figures]]) -> list[Figures]:
        collected = []
        for future in futures:
            collected.append(future.result())
            done(next(counter))
        return collected

    return results


def moves_by_case(
    cases: Mapping[Case, str],
    submit: Callable[[Case, range], list[Future[Figures]]],
    results: Results,
    before: Mapping[str, Sequence[Figures]],
    probes: int,
) -> dict[Case, Mapping[str, Any]]:
    """How far each case moves the figures of its experiment; see `move`.

    Args:
        cases: each with the name of its experiment.
        submit: begins to predict some variants of a case.
        results: see `collector`.
        before: the same variants by experiment, as nothing is changed.
        probes: variants that find out whether a case moves anything at all.
    """
    tried = {case: submit(case, range(probes)) for case in cases}
    after = {case: results(futures) for case, futures in tried.items()}
    # The same requests and seeds: what does not move at all is not used.
    rest = {
        case: submit(case, range(probes, len(before[name])))
        for case, name in cases.items()
        if after[case] != before[name][:probes]
    }
    for case, futures in rest.items():
        after[case] += results(futures)
    return {
        case: move(before[name], after[case]) if case in rest else NO_MOVE
        for case, name in cases.items()
    }


def means(runs: Sequence[Figures]) -> Figures:
    """The mean of each figure."""
    return Figures(*(fmean(column) for _, column in columns(runs)))


def columns(runs: Sequence[Figures]) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Each figure's name, and its value in all predictions."""
    return zip(Figures._fields, zip(*runs, strict=True), strict=True)


def move(before: Sequence[Figures], after: Sequence[Figures]) -> dict[str, Any]:
    """How far each figure moves, and how far chance alone could have moved it."""
    moves, chances = {}, {}
    for (key, old), (_, new) in zip(columns(before), columns(after), strict=True):
        # A share is moved in shares, a latency in parts of itself.
        unit, ratio = (1.0, 1.0) if key == "share" else (fmean(old), fmean(new) / fmean(old))
        differences = [y - ratio * x for x, y in zip(old, new, strict=True)]
        error = stdev(differences) / (unit * len(differences) ** 0.5)
        moves[key] = round((fmean(new) - fmean(old)) / unit, DIGITS)
        chances[key] = round(CHANCE * error, DIGITS)
    return {**moves, "chance": chances}


def is_chance(move: Mapping[str, Any], key: str) -> bool:
    """Whether a move of a document is none that chance could not have made."""
    return bool(abs(move[key]) <= move["chance"][key])
