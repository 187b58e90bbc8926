"""The command ``sensitivity``: compute the table, and print it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from sim.command import called, write_stdout
from sim.compiled import INTERPRETED
from sim.reading.one_line_parser import OneLineParser
from sim.reports.output import show_report
from sim.study.executors import cores, processes
from sim.study.sensitivity import sensitivities
from sim.study.sensitivity_report import print_sensitivities


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
        "of README's experiments move. Takes about a quarter of an hour on two cores.",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document instead of the table"
    )
    parser.add_argument(
        "--machines",
        action="store_true",
        help="instead, set each cost of a step to the lowest and the highest of the machines that "
        "were seen, and predict machines that are drawn from them",
    )
    args = parser.parse_args(arguments[1:])
    if args.machines:
        from sim.study.machine_sensitivity import show  # noqa: PLC0415 - only this needs the ranges

        show(as_json=args.json)
        return
    os.environ[INTERPRETED] = "1"
    with processes(cores()) as executor:
        document = sensitivities(executor)
    if args.json:
        write_stdout(f"{json.dumps(document, indent=1)}\n")
        return
    show_report(lambda console: print_sensitivities(console, document))
