"""``python -m sim fit``: what the requests of a trace or an access log demand."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sim.command import called, writable
from sim.errors import ExperimentError
from sim.reading.arguments import add_experiment_arguments, experiment_from
from sim.reading.one_line_parser import OneLineParser
from sim.reports.again import command_line
from sim.reports.output import (
    add_report_argument,
    report_path,
    show_document,
    show_report,
    write_page,
)
from sim.study.figure import refuse_without_matplotlib
from sim.study.fit import chart, experiment_text
from sim.study.fit.demand import Demand, Service, fitted
from sim.study.fit.fitting import Fit
from sim.whole_file import whole_file

SCHEMA = "gunicorn-fit/1"


def main(arguments: Sequence[str]) -> None:
    """Fit what the command line names.

    Args:
        arguments: of the command line, the first of which is ``fit``.

    Raises:
        ExperimentError: when they cannot be understood, or there are no requests to fit.
        SystemExit: after ``--help``, and when a flag cannot be parsed.
    """
    args = _parser().parse_args(arguments[1:])
    out = None if args.out is None else writable(Path(args.out))
    page = report_path(args)
    picture = None if args.chart is None else writable(Path(args.chart))
    if picture is not None:
        refuse_without_matplotlib()
    _take_file(args)
    experiment, notices = experiment_from(args)
    service = fitted(experiment.traffic.trace, experiment.seed)
    if args.json:
        show_document(document(service, notices))
    else:
        from sim.study.fit.report import print_fit  # noqa: PLC0415 - it brings rich

        show_report(lambda console: print_fit(console, service, notices))
    if out is not None:
        with whole_file(out) as file:
            source = args.trace or ", ".join(args.access_log)
            file.write(experiment_text.text(service, source))
    if picture is not None:
        with whole_file(picture) as file:
            file.write(chart.svg(service))
    if page is not None:
        from sim.study.fit.page import fit_page  # noqa: PLC0415 - it brings rich

        command = command_line("sim", arguments, os.environ)
        write_page(fit_page(service, notices, command), page)


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=f"{called('sim')} fit",
        description="Find distributions of the demand of requests that a service has had, for each "
        "route.",
    )
    parser.add_argument("FILE", nargs="?", help="a trace (FILE.csv), or an access log")
    parser.add_argument("--out", metavar="FILE.toml", help="write the traffic as an experiment")
    parser.add_argument(
        "--chart", metavar="FILE.svg", help="draw fit against data as well (extra 'chart')"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, no report")
    add_report_argument(parser)
    add_experiment_arguments(parser)
    return parser


def _take_file(args: argparse.Namespace) -> None:
    """Put the file that is named without a flag where its kind belongs."""
    if args.FILE is not None:
        kind = "trace" if args.FILE.endswith(".csv") else "access_log"
        if getattr(args, kind) is not None:
            flag = kind.replace("_", "-")
            raise ExperimentError(f"--{flag} and {args.FILE} are both given; expected one of them")
        setattr(args, kind, args.FILE if kind == "trace" else [args.FILE])
    if args.trace is None and args.access_log is None:
        raise ExperimentError(
            "fit is given no requests; expected a trace (FILE.csv) or an access log"
        )


def document(service: Service, notices: Sequence[str] = ()) -> dict[str, Any]:
    """The document of ``python -m sim fit --json``."""
    return {
        "schema": SCHEMA,
        "rate": service.rate,
        "spread_of_arrivals": service.spread,
        "routes": [_demand(demand) for demand in service.demands],
        "notices": list(notices),
    }


def _demand(demand: Demand) -> dict[str, Any]:
    return {
        "name": demand.name,
        "requests": demand.requests,
        "share": demand.share,
        "io": _fit(demand.io),
        "cpu": _fit(demand.cpu),
        "correlation": demand.together,
    }


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "distribution": str(fit.distribution),
        "distance_s": fit.distance,
        "relative": fit.relative,
        "chance": fit.chance,
        "fits": fit.fits,
    }
