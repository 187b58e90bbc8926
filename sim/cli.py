"""``python -m sim``: predict an experiment and print what its replications say together."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sim.analysis.summary import Summary, sampled, summary_of
from sim.command import called
from sim.experiment import Experiment
from sim.experiment.release_defaults import are_default
from sim.reading.arguments import add_experiment_arguments, experiment_from
from sim.reading.one_line_parser import OneLineParser
from sim.reading.whole_number import whole_number
from sim.reports.again import command_line
from sim.reports.document import document
from sim.reports.output import (
    LONG,
    add_output_arguments,
    report_path,
    save_path,
    show_document,
    show_summary,
    trace_path,
    write_page,
)
from sim.run import Run, save
from sim.run.arrivals import passes
from sim.run.sketch import RELATIVE_ERROR
from sim.study.compile_hint import requests_of, show_compile_hint
from sim.study.replications import predictions

if TYPE_CHECKING:
    from sim.reports.html.portrait import Portrait

#: What a long prediction says of its quantiles.
NOT_KEPT = (
    f"more than {LONG:,} requests in a replication: they were counted and not kept, and quantiles "
    f"are within {RELATIVE_ERROR:.1%} (--save keeps them)"
)

#: Machines of ``--machines``, at most.
MOST_MACHINES = 1_000

#: The command that is meant where none is named.
PREDICT = "predict"

#: Commands that `sim.study.cli` has.
STUDIES = {
    "size": "find the smallest server that meets an objective",
    "sweep": "predict every combination of values",
    "compare": "predict two servers on the same requests",
}

CHECK = "check"
FIT = "fit"
BACKTEST = "backtest"

#: All commands, and what they do.
COMMANDS = {
    PREDICT: "predict one experiment (the default)",
    **STUDIES,
    CHECK: "find what a configuration does to a service",
    FIT: "find distributions of what requests demand",
    BACKTEST: "predict half of an access log from the other half",
    "compile": "make predictions about three times as fast",
    "sensitivity": "how far figures move with each fitted number",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks for.

    Args:
        arguments: of the command line; those of this process, if None.

    Raises:
        ExperimentError: when they cannot be understood or run.
        SystemExit: after ``--help``, and when a flag cannot be parsed.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if given and given[0] in STUDIES:
        # They bring what a single prediction does without.
        from sim.study.cli import main as study  # noqa: PLC0415

        study(given)
        return
    if given and given[0] == CHECK:
        from sim.study.check.command import main as check  # noqa: PLC0415 - as above

        check(given)
        return
    if given and given[0] == FIT:
        from sim.study.fit.command import main as fit  # noqa: PLC0415 - as above

        fit(given)
        return
    if given and given[0] == BACKTEST:
        from sim.study.backtest.command import main as backtest  # noqa: PLC0415 - as above

        backtest(given)
        return
    if given and given[0] == "compile":
        from sim.compiled.command import main as compile_model  # noqa: PLC0415

        compile_model(given)
        return
    if given and given[0] == "sensitivity":
        from sim.study.sensitivity_command import main as sensitivity  # noqa: PLC0415 - as above

        sensitivity(given)
        return
    _predict(given[1:] if given and given[0] == PREDICT else given, given)


def _predict(given: Sequence[str], whole: Sequence[str]) -> None:
    """Predict one experiment.

    Args:
        given: arguments of the command.
        whole: the whole command line, as a page has it.
    """
    args = _parser().parse_args(given)
    experiment, notices = experiment_from(args)
    path, trace, page = save_path(args), trace_path(args), report_path(args)
    keep_rows = path is not None or trace is not None or not is_long(experiment)
    if not keep_rows:
        notices = (*notices, NOT_KEPT)
    show_compile_hint(requests_of((experiment,), experiment.replications))
    runs: Iterable[Run] = predictions(experiment, keep_rows=keep_rows)
    runs = _traced(runs, trace)
    sitting = None
    if page is not None:
        from sim.reports.html.portrait import Sitting  # noqa: PLC0415 - only a page needs it

        sitting = Sitting()
        runs = sitting.passing(runs)
    if path is not None:
        runs = list(runs)
        save(runs, path)
    first, samples = sampled(runs)
    summary = summary_of(first, samples)
    if are_default(experiment.costs) and args.machines != 0:
        from sim.study import machine_band  # noqa: PLC0415 - the table of ranges takes a while

        band = machine_band.machine_band(
            experiment, summary, samples, args.machines, keep_rows=keep_rows
        )
        summary = replace(summary, band=band)
        if band is None and args.machines is None:
            notices = (*notices, machine_band.TOO_LONG)
    if sitting is None:
        show_summary(summary, notices, as_json=args.json, timeline=args.timeline)
    else:
        command = command_line("sim", whole, os.environ)
        _show_with_page(args, experiment, summary, notices, sitting.portrait(), command)


def _show_with_page(
    args: argparse.Namespace,
    experiment: Experiment,
    summary: Summary,
    notices: Sequence[str],
    portrait: Portrait,
    command: str,
) -> None:
    """Show a summary and write its page, beside which a document has the neighbours too."""
    from sim.study.documents import neighbours as neighbours_document  # noqa: PLC0415 - as above
    from sim.study.neighbours import neighbours  # noqa: PLC0415 - as above
    from sim.study.prediction_page import prediction_page  # noqa: PLC0415 - it brings rich

    if not args.json:
        show_summary(summary, notices, as_json=False, timeline=args.timeline)
    # They take as long as the prediction.
    changes = neighbours(experiment)
    if args.json:
        value = document(summary, notices)
        show_document({**value, "neighbours": neighbours_document(changes)})
    write_page(prediction_page(changes, summary, portrait, notices, command), Path(args.report))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog=called("sim"),
        description="Predict how Gunicorn queues.",
        commands=COMMANDS,
    )
    add_experiment_arguments(parser)
    parser.add_argument(
        "--machines",
        type=whole_number("--machines", 0, MOST_MACHINES),
        metavar="N",
        help="machines on which default costs are tried; 0: none [10]",
    )
    add_output_arguments(parser)
    return parser


def is_long(experiment: Experiment) -> bool:
    """Whether one replication's rows are better not kept, and need not be."""
    return passes(experiment) and experiment.expected_requests > LONG


def _traced(runs: Iterable[Run], path: Path | None) -> Iterator[Run]:
    """The runs, of which the first is traced as soon as it is there, if there is a path."""
    for number, run in enumerate(runs):
        if number == 0 and path is not None:
            from sim.reports import chrome_trace  # noqa: PLC0415 - as studies above

            chrome_trace.save({"": run}, path)
        yield run
