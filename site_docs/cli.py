"""``python -m site_docs``: what the pages show, measured or predicted on this host."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sim.errors import ExperimentError
from sim.reading.one_line_parser import OneLineParser
from sim.reports.progress import progress
from sim.study.executors import cores, processes
from sim.validation.rows import read, rows_of
from site_docs.runs import bad_gateways, coverage, measured
from site_docs.runs.page_experiments import PageExperiment, by_name


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks for.

    Args:
        arguments: of the command line; those of this process, if None.

    Raises:
        ExperimentError: when an experiment is not known or cannot be measured.
        SystemExit: after ``--help``, and when a flag cannot be parsed.
    """
    parser = OneLineParser(prog="python -m site_docs", description="Make what the pages show.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = commands.add_parser(
        "measure",
        help="measure experiments of the pages on real Gunicorn",
        description="Measure experiments on this machine and write the runs beside the pages. "
        "Leave the machine alone meanwhile: it measures whatever else runs.",
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="of an experiment [all]")
    commands.add_parser(
        "coverage",
        help="predict the validations without calibration, and write what the bands cover",
        description="Predict all cells of the published validations with default costs, and write "
        "data/coverage.json: their bands beside what was measured. Takes some minutes.",
    )
    commands.add_parser(
        "bad-gateways",
        help="predict how often a load balancer answers 502, by rate and keepalive",
        description="Predict a load balancer in front of Gunicorn at each rate and with each "
        "keepalive of the page on proxies, and write data/bad-gateways.json. Takes some minutes.",
    )
    args = parser.parse_args(arguments)
    if args.command == "coverage":
        _cover()
        return
    if args.command == "bad-gateways":
        _count_bad_gateways()
        return
    names = args.names
    known = by_name()
    for name in names:
        if name not in known:
            raise ExperimentError(f"{name!r} is not shown; expected some of {', '.join(known)}")
    for number, name in enumerate(names or known, start=1):
        print(f"{name} ({number} of {len(names or known)})", file=sys.stderr)  # noqa: T201
        _measure(known[name])


def _cover() -> None:
    total = sum(len(rows_of(read(coverage.DATA / rows.file)[1])) for rows in coverage.ROWS)
    with processes(cores()) as executor, progress("predicting", total) as done:
        document = coverage.coverage(executor, done)
    coverage.write(document)


def _count_bad_gateways() -> None:
    total = len(bad_gateways.RATES) * len(bad_gateways.KEEPALIVES) * bad_gateways.RUNS
    with processes(cores()) as executor, progress("predicting", total) as done:
        document = bad_gateways.document(executor, done)
    bad_gateways.write(document)


def _measure(of_page: PageExperiment) -> None:
    # They need the extra `app`.
    from reference_app.rig.measure import measure  # noqa: PLC0415
    from reference_app.rig.progress_line import ProgressLine  # noqa: PLC0415
    from reference_app.rig.run_progress import run_progress  # noqa: PLC0415

    experiment = of_page.experiment()
    with ProgressLine(sys.stderr) as line:
        runs = [
            measure(experiment, 0, run_progress(line, experiment.traffic, number, of_page.repeats))
            for number in range(of_page.repeats)
        ]
    measured.save(of_page.name, runs)
