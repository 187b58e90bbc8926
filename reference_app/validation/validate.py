"""Runs the cells of a release's grid on real Gunicorn, and writes a row for each run.

The costs of a step change within half an hour, on a shared machine by half. So the machine is
calibrated again every few runs, and the runs of a cell are spread over the whole time. Their spread
includes what changes on the machine, and each run is predicted with the costs of its time.
"""

from __future__ import annotations

import platform
import resource
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import TextIO

import psutil

from reference_app.calibration.calibrate import Tell
from reference_app.rig.client import Progress
from reference_app.rig.measure import measure
from reference_app.rig.processor import processor
from reference_app.rig.progress_line import ProgressLine
from reference_app.validation.validation_progress import ValidationProgress
from sim.analysis.summary import Summary, summarize
from sim.experiment import Experiment, Host
from sim.experiment.costs import Costs
from sim.experiment.document import to_dict
from sim.experiment.release import NEWEST
from sim.reading.experiment_file import from_dict
from sim.run import Run, save
from sim.validation import rows as validation_rows
from sim.validation.comparison import ideal_run, values_of
from sim.validation.release_grid import Planned, cells_of_rows
from sim.validation.rows import Header, Measurement, Row, Values, rows_of
from sim.validation.verdict import QUIET, Result

#: Packages whose versions a reader of the rows wants to know.
PACKAGES = ("gunicorn-sim", "gunicorn", "flask", "simpy")

#: The same of a grid of one worker class.
CLASS_PACKAGES = {
    "gevent": ("gevent",),
    "asgi": ("starlette",),
    "uvicorn": ("starlette", "uvicorn", "uvicorn-worker"),
}

#: Runs after which the machine is calibrated again: about five minutes.
LEARNT_FOR = 32

#: Cells of one sample have seeds below this.
SEEDS_OF_A_SAMPLE = 1000

#: Calibrates the machine.
Learn = Callable[[Tell], Costs]

#: Predicts the experiment in one variant of the server's chances.
Predict = Callable[[Experiment, int], Iterable[Run]]


def header_of(
    host: Host,
    repeats: int,
    variants: int,
    gunicorn: str = NEWEST,
    nginx: str | None = None,
    cgroup: str | None = None,
    *,
    one_core: bool = False,
    worker_class: str | None = None,
    sample: int = 1,
) -> Header:
    """The header of rows that are made here and now.

    Args:
        host: the machine.
        repeats: how often each cell is measured.
        variants: how often each of those is predicted.
        gunicorn: the release.
        nginx: the release of that which stands in front; None for none.
        cgroup: the version of the cgroup that limits the server's CPU; None for none.
        one_core: whether the server is kept on one core, and its clients on others.
        worker_class: whose grid it is; None for a grid of several classes.
        sample: seed of the grid's sample.
    """
    own = CLASS_PACKAGES.get(worker_class or "", ())
    return Header(
        begun=_now(),
        machine={
            "cores": host.cores,
            "somaxconn": host.somaxconn,
            "processor": processor(),
            "system": platform.platform(),
            **({"server": "one core"} if one_core else {}),
        },
        versions={
            "python": platform.python_version(),
            **{package: version(package) for package in (*PACKAGES, *own)},
            "gunicorn": gunicorn,
            **({} if nginx is None else {"nginx": nginx}),
            **({} if cgroup is None else {"cgroup": cgroup}),
        },
        repeats=repeats,
        variants=variants,
        model=_commit(),
        worker_class=worker_class,
        sample=sample,
    )


def _commit() -> str | None:
    """The commit of this code; None where it differs from that, or is no checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    command += ["--abbrev=12", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no input
    described = done.stdout.strip()
    return None if done.returncode or described.endswith("-dirty") else described


def experiment_of(
    cell: Planned, number: int, host: Host, gunicorn: str = NEWEST, sample: int = 1
) -> Experiment:
    """The experiment of a release's cell of that ``number``, which also is its seed.

    Seeds of another ``sample`` than the first begin 1000 later for each.
    """
    experiment = cell.experiment(host, seed=number + SEEDS_OF_A_SAMPLE * (sample - 1))
    return replace(experiment, server=replace(experiment.server, gunicorn=gunicorn))


def run_cells(
    path: Path,
    header: Header,
    numbers: Collection[int],
    experiment: Callable[[int], Experiment],
    costs: Costs | None,
    learn: Learn,
    predict: Predict,
    runs_in: Path | None,
    stream: TextIO,
    *,
    again: bool = False,
    disturbed_again: bool = False,
    noisy_again: bool = True,
) -> None:
    """Predict and measure the cells that the file at ``path`` does not have yet.

    It measures each cell once, then each once more, until each has ``header.repeats`` measurements.
    A cell whose mean, p50 or p95 the server has not repeated by then gets as many again, so that
    its spread and its mean rest on more than a few runs.

    Args:
        path: of the file, to which each measurement is added.
        header: of the file.
        numbers: of the cells.
        experiment: of the cell of a number.
        costs: of all predictions; calibrated every `LEARNT_FOR` runs, if None.
        learn: calibrates the machine.
        predict: predicts an experiment.
        runs_in: directory for every request of every run, one file each; None for nowhere.
        stream: where progress is printed.
        again: measure those of the ``numbers`` that it has too, and replace their measurements.
        disturbed_again: replace measurements during which something else ran.
        noisy_again: measure noisy cells as often again.

    Raises:
        ExperimentError: when the file is of another kind of measurements, a server does not boot,
            or a file cannot be written.
    """
    existing = validation_rows.resume(path, header)
    measurements = [
        measurement
        for measurement in existing
        if not (
            measurement.cell in numbers
            and (again or (disturbed_again and measurement.others > QUIET))
        )
    ]
    if len(measurements) < len(existing):
        validation_rows.write(path, validation_rows.read(path)[0], measurements)
    with ProgressLine(stream) as line:
        progress = ValidationProgress(line)
        now, runs = costs or Costs(), 0
        cells = cells_of_rows(header)
        while due := next_pass(numbers, measurements, header.repeats, noisy_again=noisy_again):
            experiments = {number: experiment(number) for number in due}
            done = Counter(measurement.cell for measurement in measurements)[due[0]]
            learnings = 0 if costs is not None else ceil(len(due) / LEARNT_FOR)
            progress.begin_pass(done + 1, header.repeats, list(experiments.values()), learnings)
            for number, general in experiments.items():
                if costs is None and runs % LEARNT_FOR == 0:
                    now = learn(progress.learn)
                    progress.learnt()
                runs += 1
                one = replace(general, costs=now)
                name = cells[number - 1].name
                progress.begin(number, name)
                # Before it is measured, and not next to it: it would take a core.
                predicted = predict_values(one, done, header.variants, predict)
                run, others = _measured(one, progress.run())
                if runs_in is not None:
                    save([run], runs_in / f"cell-{number:02}-{done + 1}.run")
                measurement = measurement_of(number, name, predicted, run, others)
                validation_rows.append(path, measurement)
                measurements.append(measurement)
                progress.end(measurement)


def next_pass(
    numbers: Iterable[int],
    measurements: Iterable[Measurement],
    repeats: int,
    *,
    noisy_again: bool = True,
) -> list[int]:
    """The cells to measure next: those with the fewest measurements of all that lack some.

    Args:
        numbers: of the cells that are asked for.
        measurements: the existing ones.
        repeats: measurements that a cell needs.
        noisy_again: whether it needs twice as many, if those differ.
    """
    rows = {row.cell: row for row in rows_of(measurements)}
    missing: dict[int, list[int]] = {}
    for number in numbers:
        there = rows[number].measurements if number in rows else ()
        needed = repeats
        if noisy_again and len(there) >= repeats and Result.of(Row(there[:repeats])).scatters:
            needed = 2 * repeats
        if len(there) < needed:
            missing.setdefault(len(there), []).append(number)
    return missing[min(missing)] if missing else []


def predict_again(path: Path, costs: Costs | None, variants: int, predict: Predict) -> None:
    """Predict all cells again, for the same measurements, with other costs or another model.

    Args:
        path: of the file.
        costs: of all predictions; those of each measurement, if None.
        variants: predictions of each.
        predict: predicts an experiment.

    Raises:
        ExperimentError: when the file cannot be read or written, or the costs of a measurement are
            not those of today's model.
    """
    header, measurements = validation_rows.read(path)
    anew = []
    seen: Counter[int] = Counter()
    for measurement in measurements:
        experiment = from_dict(measurement.experiment, f"{path}: cell {measurement.cell}")
        if costs is not None:
            experiment = replace(experiment, costs=costs)
        values = predict_values(experiment, seen[measurement.cell], variants, predict)
        seen[measurement.cell] += 1
        anew.append(replace(measurement, experiment=to_dict(experiment), variants=values))
    validation_rows.write(path, replace(header, variants=variants, predicted=_now()), anew)


def predict_values(
    experiment: Experiment, measurement: int, variants: int, predict: Predict
) -> list[Values]:
    """The values of ``variants`` variants; each measurement, from 0, has variants of its own."""
    return [
        _values(summarize(predict(experiment, variant)), experiment.server.workers)
        for variant in range(measurement * variants, (measurement + 1) * variants)
    ]


def measurement_of(
    number: int, name: str, predicted: list[Values], measured: Run, others: float
) -> Measurement:
    """The new measurement of a cell, during which ``others`` cores were busy otherwise."""
    summary = summarize([measured])
    return Measurement(
        cell=number,
        name=name,
        measured=_now(),
        experiment=measured.experiment,
        values=_values(summary, int(measured.experiment["server"]["workers"])),
        outcomes={str(outcome): count for outcome, count in summary.outcomes.items()},
        others=others,
        variants=predicted,
        ideal=values_of(summarize([ideal_run(measured)]), ()),
    )


def _measured(experiment: Experiment, progress: Progress) -> tuple[Run, float]:
    """One run, and the mean number of cores that other processes used meanwhile."""
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


def _values(summary: Summary, workers: int) -> Values:
    return values_of(summary, range(1, workers + 1))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
