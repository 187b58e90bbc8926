"""``python -m reference_app calibrate``: measure, fit, and write the file."""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from reference_app.calibration.calibrate import Calibration, calibrate
from reference_app.calibration.memory import measures_threads
from reference_app.calibration.requests import Demand
from reference_app.rig import releases
from reference_app.rig.processor import processor
from reference_app.rig.progress_line import ProgressLine, print_progress
from reference_app.rig.server import Application, refuse_missing_packages
from sim.command import writable, write_stdout
from sim.errors import ExperimentError
from sim.experiment import Server
from sim.experiment.costs import PARTS, Costs
from sim.experiment.release import NEWEST, release
from sim.reading import costs_file
from sim.reading.settings import named_worker_class
from sim.study import race_fit
from sim.whole_file import whole_file

#: A module and a callable in it, as on Gunicorn's command line.
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*(\(\))?")


def run(args: argparse.Namespace) -> None:
    """Run the command; the file appears whole, at the end, or not at all.

    Raises:
        ExperimentError: when an argument cannot be used, or the application does not answer.
    """
    path = writable(Path(args.out))
    if args.app is not None and not _TARGET.fullmatch(args.app):
        raise ExperimentError(f"--app is {args.app!r}; expected MODULE:APP, such as myapp:app")
    if not args.path.startswith("/"):
        raise ExperimentError(f"--path is {args.path!r}; expected one that begins with '/'")
    worker_class = named_worker_class(args.worker_class)
    refuse_missing_packages(Server(worker_class=worker_class))
    gunicorn = _release(args.gunicorn)
    application = None if args.app is None else Application(args.app, directory=Path.cwd())
    with ProgressLine(sys.stderr, steps=True) as line:
        result = calibrate(
            application,
            args.path,
            lambda what, over, planned: line.say(what, over, planned=planned),
            gunicorn,
            worker_class,
        )
    cores = len(os.sched_getaffinity(0))
    costs = race_fit.fitted(result.measured, result.shares, cores)
    host = costs_file.CostsFile(costs, result.memory, gunicorn, _machine(cores), worker_class)
    with whole_file(path) as file:
        file.write(costs_file.text(host, _about(args, result, costs, cores), _notes(result)))
    write_stdout("\n".join(_report(path, result, costs, cores)) + "\n")


def _release(named: str | None) -> str:
    """The release to run, which is installed first if it has to be.

    Raises:
        ExperimentError: when the model does not know it, or it cannot be installed.
    """
    known = release(named or NEWEST)
    return releases.gunicorn(known.number, print_progress).release


def _machine(cores: int) -> str:
    return f"{processor()}, {cores} cores, {platform.system()} {platform.release()}"


def _about(
    args: argparse.Namespace, result: Calibration, costs: Costs, cores: int
) -> Iterator[str]:
    now = datetime.now(UTC)
    target = args.app or "the reference service"
    yield (
        f"What the steps of a request and of a process's life cost {target}, in s, and what its "
        "processes take of the memory, in bytes, for `python -m sim --costs FILE`. Written by "
        "`python -m reference_app calibrate`."
    )
    yield (
        f"Measured {now:%Y-%m-%d %H:%M} UTC on the machine below, CPython "
        f"{platform.python_version()}; client and server on the same cores."
    )
    if result.demand is not None:
        yield (
            f"GET {args.path} itself computes {1000 * result.demand.cpu:.3f} ms and waits "
            f"{1000 * result.demand.io:.3f} ms: {_flags(result.demand)}"
        )
    yield "Shares of the accepts by boot order, gthread, nearly always all workers asleep:"
    yield from _shares(result, costs, cores)


def _shares(result: Calibration, costs: Costs, cores: int) -> Iterator[str]:
    for load, shares in result.shares.items():
        shares_predicted = race_fit.predicted_shares(load, cores, costs)
        predicted = _formatted(shares_predicted)
        yield f"{load}: measured {_formatted(shares)}, with these costs {predicted}"


def _notes(result: Calibration) -> dict[str, str]:
    notes = {
        name: f"Measured {_words_of(name, least)} to {_words_of(name, most)}."
        for name, (least, most) in result.spread.items()
    }
    for name in ("wake_first", "wake_owed", "wake_overtake", "wake_idle", "pull"):
        notes[name] = "The default: of the scheduler's traces, not measured here."
    notes["exit"] = "The default."
    if not measures_threads(result.worker_class, ours=result.demand is None):
        notes["thread"] = "The default."
    if result.demand is not None:
        # Of an application that is not ours we do not know the flags.
        notes["flag_client"] = notes["preloaded_client_copied"] = "The default."
        notes["postfork"] = "The default."
    return notes


def _report(path: Path, result: Calibration, costs: Costs, cores: int) -> Iterator[str]:
    for name, (least, most) in result.spread.items():
        value, low, high = (
            _words_of(name, number) for number in (getattr(costs, name), least, most)
        )
        yield f"{name:14} {value:>12}   {low} to {high}"
    for cost in fields(result.memory):
        megabytes = getattr(result.memory, cost.name) / 1e6
        yield f"{cost.name:23} {megabytes:6,.2f} MB"
    yield from _shares(result, costs, cores)
    if result.demand is not None:
        yield f"the application: {_flags(result.demand)}"
    yield f"written: {path}"


def _flags(demand: Demand) -> str:
    return f"--cpu const:{demand.cpu:.6f} --io const:{demand.io:.6f}"


def _words_of(name: str, value: float) -> str:
    return f"{value:.2f}" if name in PARTS else _us(value)


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} us" if seconds < 0.01 else f"{seconds * 1e3:,.0f} ms"


def _formatted(shares: Sequence[float]) -> str:
    return " ".join(f"{share:.2f}" for share in shares)
