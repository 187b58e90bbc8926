"""``python -m reference_app``: measure on real Gunicorn, compare with `sim`, validate `sim`."""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from reference_app.commands.validate import add_validate_arguments, run_validate
from reference_app.rig.kernel_hz import config_files, kernel_hz
from sim.analysis.summary import summarize
from sim.errors import ExperimentError
from sim.experiment import Experiment, Host
from sim.experiment.host import HZ
from sim.experiment.release import NEWEST
from sim.reading.arguments import add_experiment_arguments, experiment_from
from sim.reading.one_line_parser import OneLineParser
from sim.reading.whole_number import whole_number
from sim.reports import chrome_trace
from sim.reports.again import command_line
from sim.reports.output import (
    add_output_arguments,
    report_path,
    save_path,
    show_document,
    show_report,
    show_summary,
    trace_path,
    write_page,
)
from sim.run import Run, save
from sim.study.replications import predictions

#: What the extra ``app`` installs, by the name under which it is imported.
REQUIRED = {"flask": "flask", "ldclient": "launchdarkly-server-sdk", "psutil": "psutil"}

#: Most that ``--repeat`` and ``--variants`` take: a slip of the finger is not to cost a day.
MOST = 1000

SOMAXCONN = Path("/proc/sys/net/core/somaxconn")


class _Machine(NamedTuple):
    """What an experiment's host is set against: the machine that measures.

    Attributes:
        cores: processors that this process may use.
        somaxconn: the kernel's limit of the accept queue; None where it cannot be read.
        hz: ticks of the kernel's timers per second; None where it cannot be read.
    """

    cores: int
    somaxconn: int | None
    hz: int | None

    def host(self) -> Host:
        """The host of an experiment on this machine; the default for what cannot be read.

        A kernel whose ``hz`` no experiment can have counts as one that cannot be read.
        """
        default = Host()
        hz = self.hz if self.hz in HZ else default.hz
        return Host(self.cores, self.somaxconn or default.somaxconn, hz=hz)


class _Files(NamedTuple):
    """What is written beside the output; None where nobody asked.

    Attributes:
        runs: every request of every run.
        trace: the first run, for Perfetto.
        page: the report with charts.
    """

    runs: Path | None
    trace: Path | None
    page: Path | None


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks for.

    Args:
        arguments: of the command line; those of this process, if None.

    Raises:
        ExperimentError: when they cannot be understood or run, the extra ``app`` is missing, this
            Python is free-threaded, or no temporary file can be written.
        SystemExit: after ``--help``, and when a flag cannot be parsed.
    """
    args = _parser().parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    args.makes_again = command_line("reference_app", given, os.environ)
    _refuse_free_threaded()
    _refuse_missing_packages()
    _refuse_full_disk()
    if args.command == "calibrate":
        from reference_app.commands.calibrate import run  # noqa: PLC0415 - needs the extra `app`

        run(args)
        return
    if args.command == "validate":
        run_validate(args, _this_machine().host())
        return
    experiment, notices = experiment_from(args)
    notices += _about_host(experiment, _this_machine())
    files = _Files(save_path(args), trace_path(args), report_path(args))
    if args.command == "compare":
        _compare(args, experiment, notices, files)
    else:
        _measure(args, experiment, notices, files)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m reference_app", description="Measure how real Gunicorn queues."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    measure = commands.add_parser(
        "measure",
        help="send an experiment's requests to real Gunicorn",
        description="Start Gunicorn on this machine, send it the experiment's requests, and print "
        "what became of them. One replication, unless --replications is given.",
    )
    _add_count(measure, "--repeat", 1, "times that the same requests are measured")
    compare = commands.add_parser(
        "compare",
        help="measure the same requests that sim predicts",
        description="Predict the experiment, measure the same requests on real Gunicorn, and "
        "print how far apart the two are. One replication, unless --replications is given.",
    )
    _add_count(compare, "--repeat", 3, "times that the same requests are measured")
    _add_count(compare, "--variants", 20, "times that the same requests are predicted")
    add_calibrate_arguments(
        commands.add_parser(
            "calibrate",
            help="measure the costs of this machine and an application",
            description="Measure on real Gunicorn what the steps of a request and of a process's "
            "life cost on this machine, and how much memory processes take. Takes little more "
            "than a minute and writes a file for --costs.",
        )
    )
    for command in (measure, compare):
        # A prediction is cheap and takes ten; a measurement takes as long as the traffic lasts.
        add_experiment_arguments(command, replications=1)
        add_output_arguments(command)
    validate = commands.add_parser(
        "validate",
        help="hold the model against real Gunicorn on the cells of a grid",
        description="Predict and measure a fixed sample of servers and loads, and report the "
        "errors. Takes about an hour. The exit status is 1 when a target is missed.",
    )
    _add_count(
        validate, "--repeat", 3, "times that each cell is measured; noisy ones twice as often"
    )
    _add_count(validate, "--variants", 15, "times that each run is predicted")
    _add_count(
        validate, "--sample", 1, "which sample of the grid; the model was mended for what 1 showed"
    )
    add_gunicorn(validate)
    add_validate_arguments(validate)
    return parser


def add_calibrate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--gunicorn``, ``--app``, ``--path`` and ``--out``."""
    add_gunicorn(parser)
    parser.add_argument(
        "--worker-class",
        default="gthread",
        metavar="CLASS",
        help="worker class whose requests to measure; gthread measures those of sync too [gthread]",
    )
    parser.add_argument(
        "--app",
        metavar="MODULE:APP",
        help="application to measure, of the kind that the class runs [the reference service]",
    )
    parser.add_argument("--path", default="/", help="path to request from it [/]")
    parser.add_argument(
        "--out", default="costs.toml", metavar="FILE.toml", help="file to write [costs.toml]"
    )


def add_gunicorn(parser: argparse.ArgumentParser) -> None:
    """Add ``--gunicorn``."""
    parser.add_argument("--gunicorn", metavar="RELEASE", help=f"release to measure [{NEWEST}]")


def _add_count(parser: argparse.ArgumentParser, name: str, default: int, help_: str) -> None:
    parser.add_argument(
        name,
        type=whole_number(name, 1, MOST),
        default=default,
        metavar="N",
        help=f"{help_} [{default}]",
    )


def _refuse_free_threaded() -> None:
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise ExperimentError(
            f"this Python {sys.version.split()[0]} is a free-threaded build; expected one with a "
            "GIL, whose threads take turns: the model knows no other"
        )


def _refuse_missing_packages() -> None:
    missing = [package for module, package in REQUIRED.items() if find_spec(module) is None]
    if missing:
        raise ExperimentError(
            f"{', '.join(missing)} cannot be imported; the reference service needs the extra "
            "'app': pip install 'gunicorn-sim[app]'"
        )


def _refuse_full_disk() -> None:
    try:
        tempfile.gettempdir()  # It writes a file there.
    except FileNotFoundError:
        raise ExperimentError(
            "no directory for temporary files can be written to; expected space in /tmp, or in the "
            "directory that TMPDIR names"
        ) from None


def _measure(
    args: argparse.Namespace,
    experiment: Experiment,
    notices: tuple[str, ...],
    files: _Files,
) -> None:
    repeats = _measurements(experiment, args.repeat)
    if args.repeat > 1:
        notices += (
            f"Every replication was measured {args.repeat} times, with the same requests: the "
            "intervals tell how closely the server repeats itself too, not only chance of traffic.",
        )
    runs = [run for runs in repeats for run in runs]
    if files.runs is not None:
        save(runs, files.runs)
    if files.trace is not None:
        chrome_trace.save({"": runs[0]}, files.trace)
    summary = summarize(runs)
    show_summary(summary, notices, as_json=args.json, timeline=args.timeline)
    if files.page is not None:
        from sim.reports.html.portrait import portrait_of  # noqa: PLC0415 - only a page needs it
        from sim.reports.html.summary_page import summary_page  # noqa: PLC0415 - as above

        write_page(summary_page(summary, portrait_of(runs), notices, args.makes_again), files.page)


def _compare(
    args: argparse.Namespace,
    experiment: Experiment,
    notices: tuple[str, ...],
    files: _Files,
) -> None:
    # The one place where prediction and measurement meet; the rig never sees the model.
    from sim.validation.comparison import compare, document, ideal_run  # noqa: PLC0415

    variants = [list(predictions(experiment, variant)) for variant in range(args.variants)]
    repeats = _measurements(experiment, args.repeat)
    if files.runs is not None:
        save((run for runs in (*repeats, *variants) for run in runs), files.runs)
    if files.trace is not None:
        both = {"predicted": variants[0][0], "measured": repeats[0][0]}
        chrome_trace.save(both, files.trace)
    comparison = compare(
        [summarize(runs) for runs in variants],
        [summarize(runs) for runs in repeats],
        summarize(ideal_run(run) for run in repeats[0]),
    )
    if args.json:
        show_document(document(comparison, notices))
    else:
        from reference_app.commands.comparison_report import print_comparison  # noqa: PLC0415

        show_report(
            lambda console: print_comparison(console, comparison, notices, timeline=args.timeline)
        )
    if files.page is not None:
        from reference_app.commands.comparison_page import comparison_page  # noqa: PLC0415

        sides = {"predicted": variants[0], "measured": repeats[0]}
        write_page(comparison_page(comparison, sides, notices, args.makes_again), files.page)


def _measurements(experiment: Experiment, repeat: int) -> list[list[Run]]:
    """All replications, ``repeat`` times over; a repeat of one is not measured next to it."""
    # They need the extra `app`.
    from reference_app.rig import releases  # noqa: PLC0415
    from reference_app.rig.measure import measure  # noqa: PLC0415
    from reference_app.rig.progress_line import ProgressLine  # noqa: PLC0415
    from reference_app.rig.run_progress import run_progress  # noqa: PLC0415

    def tell(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    gunicorn = releases.gunicorn(experiment.server.gunicorn, tell)
    replications = experiment.replications
    runs = repeat * replications
    with ProgressLine(sys.stderr) as line:
        return [
            [
                measure(
                    experiment,
                    replication,
                    run_progress(
                        line, experiment.traffic, number * replications + replication, runs
                    ),
                    gunicorn,
                )
                for replication in range(replications)
            ]
            for number in range(repeat)
        ]


def _this_machine() -> _Machine:
    try:
        somaxconn = int(SOMAXCONN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        somaxconn = None
    return _Machine(len(os.sched_getaffinity(0)), somaxconn, kernel_hz())


def _about_host(experiment: Experiment, machine: _Machine) -> tuple[str, ...]:
    """A notice for each thing in which the experiment's host is not this machine."""
    host = experiment.host
    notices = []
    apart = host.clients == "remote" and host.cores < machine.cores
    if host.cores != machine.cores and not apart:
        notices.append(
            f"The experiment's host has cores = {host.cores}; this machine, which is measured, "
            f"has {machine.cores}."
        )
    if machine.somaxconn is not None and host.somaxconn != machine.somaxconn:
        notices.append(
            f"The experiment's host has somaxconn = {host.somaxconn}; this machine, which is "
            f"measured, has {machine.somaxconn}."
        )
    if machine.hz is None:
        notices.append(
            f"CONFIG_HZ of this machine is in none of {', '.join(map(str, config_files()))}; "
            f"the prediction has hz = {host.hz}."
        )
    elif host.hz != machine.hz:
        notices.append(
            f"The experiment's host has hz = {host.hz}; this machine, which is measured, has "
            f"{machine.hz}."
        )
    if apart:
        notices.append(
            f"The server was kept on {host.cores} of this machine's {machine.cores} cores, and its "
            "clients on the others."
        )
    elif host.clients != "local":
        notices.append(
            f"The experiment's host has clients = {host.clients!r}; those that measure are local."
        )
    return tuple(notices)
