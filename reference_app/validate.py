"""Runs the cells of `sim.validation_grid` on real Gunicorn, and notes what came of each."""

from __future__ import annotations

import platform
import resource
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

import psutil

from reference_app.client import Progress
from reference_app.measure import measure
from reference_app.processor import processor
from reference_app.progress_line import ProgressLine
from reference_app.validation_progress import ValidationProgress
from sim import validation_rows
from sim.comparison import ideal_run, values_of
from sim.costs import Costs
from sim.experiment import Experiment, Host
from sim.run import Run, save
from sim.summary import Summary, summarize
from sim.validation_grid import sample
from sim.validation_rows import Header, Row, Values

#: Packages whose versions a reader of the rows wants to know.
PACKAGES = ("gunicorn-sim", "gunicorn", "flask", "simpy")

#: Predicts the experiment in one variant of the server's chances.
Predict = Callable[[Experiment, int], Iterable[Run]]


def header_of(host: Host, costs: Costs, repeats: int, variants: int) -> Header:
    """The header of rows that are made here and now."""
    return Header(
        begun=_now(),
        machine={
            "cores": host.cores,
            "somaxconn": host.somaxconn,
            "processor": processor(),
            "system": platform.platform(),
        },
        versions={
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
        repeats=repeats,
        variants=variants,
        costs=asdict(costs),
    )


def experiment_of(number: int, host: Host, costs: Costs) -> Experiment:
    """The experiment of the cell of that ``number``, which also is its seed."""
    return replace(sample()[number - 1].experiment(host, seed=number), costs=costs)


def run_cells(
    path: Path,
    header: Header,
    numbers: Collection[int],
    experiment: Callable[[int], Experiment],
    predict: Predict,
    runs_in: Path | None,
    stream: TextIO,
    *,
    again: bool = False,
) -> None:
    """Predict and measure the cells that the file at ``path`` does not have yet.

    Args:
        path: of the rows, to which each cell is added once it is measured.
        header: of the file.
        numbers: of the cells.
        experiment: of the cell of a number.
        predict: predicts an experiment.
        runs_in: directory for every request of every run, one file a cell; None for nowhere.
        stream: that is told how far it is.
        again: run those of the ``numbers`` that it has too, and replace their rows.

    Raises:
        ExperimentError: when the file is of other rows, a server does not boot, or a file cannot
            be written.
    """
    rows = validation_rows.resume(path, header)
    if again:
        rows = [row for row in rows if row.cell not in numbers]
        validation_rows.write(path, validation_rows.read(path)[0], rows)
    there = {row.cell for row in rows}
    cells = sample()
    missing = {number: experiment(number) for number in numbers if number not in there}
    with ProgressLine(stream) as line:
        progress = ValidationProgress(list(missing.values()), header.repeats, line)
        for number, asked in missing.items():
            name = cells[number - 1].name
            progress.begin(number, name)
            # Before it is measured, and not next to it: it would take a core.
            predicted = predict_values(asked, header.variants, predict)
            looks = [_look(asked, progress.run(repeat)) for repeat in range(header.repeats)]
            measured = [run for run, _ in looks]
            if runs_in is not None:
                save(measured, runs_in / f"cell-{number:02}.run")
            row = row_of(number, name, asked, predicted, measured, [others for _, others in looks])
            validation_rows.append(path, row)
            progress.end(row)


def predict_again(path: Path, costs: Costs, variants: int, predict: Predict) -> None:
    """Predict all rows anew, from the same measurements, with other costs or another model.

    Raises:
        ExperimentError: when the file cannot be read or written.
    """
    header, rows = validation_rows.read(path)
    host = Host(header.machine["cores"], header.machine["somaxconn"])
    anew = [
        replace(
            row, variants=predict_values(experiment_of(row.cell, host, costs), variants, predict)
        )
        for row in rows
    ]
    validation_rows.write(path, replace(header, variants=variants, costs=asdict(costs)), anew)


def predict_values(experiment: Experiment, variants: int, predict: Predict) -> list[Values]:
    """The values of every variant."""
    return [
        _values(summarize(predict(experiment, variant)), experiment) for variant in range(variants)
    ]


def row_of(
    number: int,
    name: str,
    experiment: Experiment,
    predicted: list[Values],
    measured: list[Run],
    others: list[float],
) -> Row:
    """The row of a cell that was measured just now."""
    summaries = [summarize([run]) for run in measured]
    return Row(
        cell=number,
        name=name,
        measured=_now(),
        experiment=measured[0].experiment,
        repeats=[_values(summary, experiment) for summary in summaries],
        outcomes=[{str(o): n for o, n in s.outcomes.items()} for s in summaries],
        others=others,
        variants=predicted,
        ideal=values_of(summarize([ideal_run(measured[0])]), ()),
    )


def _look(experiment: Experiment, progress: Progress) -> tuple[Run, float]:
    """One repeat, and the mean number of cores that were busy with anything else meanwhile."""
    began, all_before, own_before = time.monotonic(), _busy(), _own()
    run = measure(experiment, 0, progress)
    busy = _busy() - all_before - (_own() - own_before)
    return run, max(0.0, busy / (time.monotonic() - began))


def _busy() -> float:
    """CPU time of the whole machine so far, s, with what the hypervisor gave to others."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def _own() -> float:
    """CPU time of this process, and of servers and load generators that have ended, s."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _values(summary: Summary, experiment: Experiment) -> Values:
    return values_of(summary, range(1, experiment.server.workers + 1))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
