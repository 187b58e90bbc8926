"""``python -m reference_app validate``: its flags, and the command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sim.command import writable, write_stdout
from sim.errors import ExperimentError
from sim.experiment import Host, Server, WorkerClass
from sim.experiment.costs import Costs
from sim.experiment.release import NEWEST
from sim.reading import costs_file
from sim.reading.settings import named_worker_class
from sim.reports.output import show_report
from sim.study import race_fit
from sim.study.replications import predictions
from sim.validation import rows as validation_rows
from sim.validation.class_grid import CLASSES
from sim.validation.release_grid import Planned, cells_of
from sim.validation.verdict import validation
from sim.whole_file import unwritable

#: Exit status when a target is missed.
MISSED = 1

#: A file that ``--save`` may write to its directory; see `reference_app.validation.validate`.
FIRST_RUN = "cell-01-1.run"


def add_validate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that only this command has."""
    parser.allow_abbrev = False
    parser.add_argument(
        "rows",
        metavar="ROWS.jsonl",
        nargs="?",
        help="file of rows; its cells are not measured again",
    )
    parser.add_argument("--list", action="store_true", help="print the cells, and run none")
    parser.add_argument(
        "--behind-nginx", action="store_true", help="the cells that have a real nginx in front"
    )
    parser.add_argument(
        "--cpu-limited", action="store_true", help="the cells whose server has a CPU limit"
    )
    parser.add_argument(
        "--one-core",
        action="store_true",
        help="the cells with the server on one core, and its clients on others",
    )
    parser.add_argument(
        "--worker-class",
        metavar="CLASS",
        help=f"the cells of a worker class with an event loop: {', '.join(CLASSES)}",
    )
    parser.add_argument("--cells", metavar="1,5-8", help="only these cells [all]")
    parser.add_argument("--again", action="store_true", help="also cells that the rows have")
    parser.add_argument(
        "--disturbed-again",
        action="store_true",
        help="repeat runs during which something else used the machine",
    )
    parser.add_argument(
        "--costs",
        metavar="FILE.toml",
        help="costs of the steps on the host [calibrated again every five minutes]",
    )
    parser.add_argument("--save", metavar="DIR", help="keep every request of every run there")
    parser.add_argument(
        "--predict-again",
        action="store_true",
        help="predict the rows again with the current model, and measure nothing",
    )


def run_validate(args: argparse.Namespace, host: Host) -> None:
    """Run the cells that are missing, and report on all that the rows have.

    Args:
        args: of the command line.
        host: the machine that measures.

    Raises:
        ExperimentError: when the arguments cannot be understood or run.
        SystemExit: with `MISSED`, when the rows miss a target.
    """
    gunicorn = args.gunicorn or NEWEST
    worker_class = None if args.worker_class is None else named_worker_class(args.worker_class)
    if sum((args.behind_nginx, args.cpu_limited, args.one_core, worker_class is not None)) > 1:
        raise ExperimentError(
            "--behind-nginx, --cpu-limited, --one-core and --worker-class are grids of their own; "
            "expected one"
        )
    cells = cells_of(
        gunicorn,
        nginx=args.behind_nginx,
        limited=args.cpu_limited,
        one_core=args.one_core,
        worker_class=worker_class,
        sample_seed=args.sample,
    )
    numbers = _numbers(args.cells, len(cells))
    if args.list:
        _list(cells, numbers, host)
        return
    if args.rows is None:
        raise ExperimentError("validate is given no file; expected ROWS.jsonl, or --list")
    if args.repeat < 2:
        raise ExperimentError("--repeat is 1; expected 2 or more, or there is no spread")
    path = writable(Path(args.rows))
    runs_in = None if args.save is None else Path(args.save)
    if runs_in is not None:
        _refuse_other(runs_in)
    costs = None if args.costs is None else costs_file.read(Path(args.costs)).costs
    # They need the extra `app`.
    from reference_app.commands.validation_report import print_validation  # noqa: PLC0415
    from reference_app.rig import cgroup, nginx, releases  # noqa: PLC0415
    from reference_app.rig.progress_line import print_progress  # noqa: PLC0415
    from reference_app.rig.server import refuse_missing_packages  # noqa: PLC0415
    from reference_app.validation import validate  # noqa: PLC0415

    if worker_class is not None:
        refuse_missing_packages(Server(worker_class=worker_class))
    releases.gunicorn(gunicorn, print_progress)
    if args.predict_again:
        if args.again or args.disturbed_again or args.cells is not None:
            raise ExperimentError(
                "--predict-again measures nothing; expected no --again, --disturbed-again, --cells"
            )
        validate.predict_again(path, costs, args.variants, predictions)
    else:
        validate.run_cells(
            path,
            validate.header_of(
                host,
                args.repeat,
                args.variants,
                gunicorn,
                nginx.version() if args.behind_nginx else None,
                cgroup.version() if args.cpu_limited else None,
                one_core=args.one_core,
                worker_class=worker_class,
                sample=args.sample,
            ),
            numbers,
            lambda number: validate.experiment_of(
                cells[number - 1], number, host, gunicorn, args.sample
            ),
            costs,
            partial(_calibrated, host.cores, gunicorn, worker_class or "gthread"),
            predictions,
            runs_in,
            sys.stderr,
            again=args.again,
            disturbed_again=args.disturbed_again,
            noisy_again=gunicorn == NEWEST,
        )
    header, measurements = validation_rows.read(path)
    result = validation(validation_rows.rows_of(measurements))
    show_report(lambda console: print_validation(console, header, result, len(cells)))
    if not result.reached:
        raise SystemExit(MISSED)


def _refuse_other(directory: Path) -> None:
    """Refuse what is no directory of ``--save`` that takes files."""
    try:
        usable = directory.is_dir()
    except OSError as error:
        raise unwritable(directory, error) from None
    if not usable:
        raise ExperimentError(f"--save is {str(directory)!r}; expected a directory that exists")
    writable(directory / FIRST_RUN)


def _numbers(text: str | None, last: int) -> list[int]:
    """The numbers in ``1,5-8``, from 1 to ``last``; all of them, if None."""
    if text is None:
        return list(range(1, last + 1))
    numbers: dict[int, None] = {}
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        ends = [end for end in (low, high if dash else low) if end.isascii() and end.isdigit()]
        if len(ends) != 2 or not 1 <= int(ends[0]) <= int(ends[1]) <= last:
            raise ExperimentError(
                f"--cells has {part.strip()!r}; expected numbers from 1 to {last}, as in 1,5-8"
            )
        numbers |= dict.fromkeys(range(int(ends[0]), int(ends[1]) + 1))
    return list(numbers)


def _list(cells: Sequence[Planned], numbers: list[int], host: Host) -> None:
    lines = []
    for number in numbers:
        cell = cells[number - 1]
        traffic = cell.experiment(host, number).traffic
        lines.append(
            f"{number:2}  {cell.name}: {traffic.requests} requests, {traffic.rate:.1f} a second\n"
        )
    write_stdout("".join(lines))


def _calibrated(
    cores: int,
    gunicorn: str,
    worker_class: WorkerClass,
    tell: Callable[[str, float, float], None],
) -> Costs:
    """The costs of this machine, a release and a worker class, in this minute."""
    from reference_app.calibration.calibrate import calibrate  # noqa: PLC0415 - needs the extra `app`

    calibration = calibrate(None, "/", tell, gunicorn, worker_class)
    return race_fit.fitted(calibration.measured, calibration.shares, cores)
