"""``python -m sim sensitivity --machines``: which costs decide what an unknown machine does.

Each cost of ``cost_ranges.toml``, and each factor of several, is set to the lowest and to the
highest of the machines that were seen; all others stay as the defaults have them. Besides, machines
are predicted that are drawn from all ranges together. Requests, seeds and standard errors are as
in `sim.study.sensitivity`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from itertools import product
from typing import Any, Final

from sim.analysis.quantile import quantile
from sim.command import write_stdout
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.cost_ranges import RANGES, Side, machines, sides
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from sim.reports.output import show_report
from sim.reports.progress import progress
from sim.study import sensitivity
from sim.study.executors import cores, processes
from sim.study.sensitivity import (
    CHANCE,
    DIGITS,
    Figures,
    collector,
    columns,
    figures_of,
    is_chance,
    means,
    moves_by_case,
)

#: Variants of the server's chances that a figure is the mean of.
VARIANTS: Final = 60

#: Variants that find out whether a cost moves an experiment at all.
PROBES: Final = 3

#: Machines that are drawn, and the seed of their costs.
MACHINES: Final = 40
SEED: Final = 1

#: Of the drawn machines, those below and above what is said of them: eight in ten are between.
LOW, HIGH = 0.1, 0.9

SCHEMA: Final = "gunicorn-machines/1"

#: Beside README's loads, which only wait: requests that compute for twice as long as they wait.
COMPUTING: Final = Experiment(
    server=Server(workers=2, threads=2, worker_class="gthread", preload_app=True),
    traffic=Traffic(
        rate=40.0,
        requests=sensitivity.REQUESTS,
        io=Distribution("exp", (0.01,)),
        cpu=Distribution("exp", (0.02,)),
    ),
    replications=1,
)


def experiments() -> dict[str, Experiment]:
    """The experiments by name."""
    return {**sensitivity.EXPERIMENTS, "gthread 2 x 2, computing": COMPUTING}


def predicted(experiment: Experiment, costs: Costs, variant: int) -> Figures:
    """The figures of an experiment on a machine with these costs, in one variant."""
    return figures_of(predict(replace(experiment, costs=costs), 0, variant))


def machine_sensitivities(executor: Executor) -> dict[str, Any]:
    """How far figures move from one machine to another with each cost, as a document.

    Ranges come in the order of what they move most, see `weight`.

    Args:
        executor: of processes or threads that predict.
    """
    cases = experiments()
    base = Costs()
    ends = tuple(sides(base))
    drawn = machines(MACHINES, base, SEED)

    def submitted(name: str, costs: Costs, variants: range) -> list[Future[Figures]]:
        return [executor.submit(predicted, cases[name], costs, variant) for variant in variants]

    def changed(case: tuple[Side, str], variants: range) -> list[Future[Figures]]:
        side, name = case
        return submitted(name, side.costs, variants)

    whole = range(VARIANTS)
    total = len(cases) * VARIANTS * (1 + len(ends) + len(drawn))
    with progress("predicting", total) as done:
        results = collector(done)
        defaults = {name: submitted(name, base, whole) for name in cases}
        of_machines = {name: [submitted(name, costs, whole) for costs in drawn] for name in cases}
        before = {name: results(futures) for name, futures in defaults.items()}
        moves = moves_by_case(
            {case: case[1] for case in product(ends, cases)}, changed, results, before, PROBES
        )
        there = {name: [results(futures) for futures in each] for name, each in of_machines.items()}
    rows = [_row(name, ends, moves, cases) for name in dict.fromkeys(side.name for side in ends)]
    return {
        "schema": SCHEMA,
        "requests": sensitivity.REQUESTS,
        "variants": VARIANTS,
        "standard_errors": CHANCE,
        "experiments": {name: means(runs)._asdict() for name, runs in before.items()},
        "ranges": sorted(rows, key=weight, reverse=True),
        "machines": {
            "number": MACHINES,
            "between": [LOW, HIGH],
            "experiments": {name: _spread(each) for name, each in there.items()},
        },
    }


def _row(
    name: str,
    ends: Sequence[Side],
    moves: Mapping[tuple[Side, str], Mapping[str, Any]],
    cases: Mapping[str, Experiment],
) -> dict[str, Any]:
    """What one range moves, and where it comes from."""
    entry = RANGES.factors.get(name) or RANGES.costs.get(name)
    return {
        "name": name,
        "kind": "factor" if name in RANGES.factors else "cost" if entry else "race",
        "ends": list(RANGES.ends[name]),
        "assumed": entry is not None and entry.assumed is not None,
        "moves": {
            experiment: [moves[side, experiment] for side in ends if side.name == name]
            for experiment in cases
        },
    }


def weight(row: Mapping[str, Any]) -> float:
    """The largest relative move of a mean that chance could not have made; 0 without any."""
    moves = (one for moves in row["moves"].values() for one in moves)
    return max((abs(one["mean"]) for one in moves if not is_chance(one, "mean")), default=0.0)


def _spread(machines: Sequence[Sequence[Figures]]) -> dict[str, list[float]]:
    """Between which values each figure is on most machines."""
    return {
        key: [round(quantile(sorted(column), part), DIGITS) for part in (LOW, HIGH)]
        for key, column in columns([means(runs) for runs in machines])
    }


def show(*, as_json: bool) -> None:
    """Predict on all processors, and print the table or the document.

    Raises:
        ExperimentError: when a process that predicts was ended from outside.
    """
    with processes(cores()) as executor:
        document = machine_sensitivities(executor)
    if as_json:
        write_stdout(f"{json.dumps(document, indent=1)}\n")
        return
    from sim.study.sensitivity_report import print_machines  # noqa: PLC0415 - rich

    show_report(lambda console: print_machines(console, document))
