"""A page as ``--report`` writes it, for readers of the site who have not made one yet."""

from __future__ import annotations

import contextlib

from sim.analysis.summary import summarize
from sim.reading.arguments import add_experiment_arguments, experiment_from
from sim.reading.one_line_parser import OneLineParser
from sim.reports.again import command_line
from sim.reports.html.portrait import Sitting
from sim.reports.html.render import html
from sim.reports.output import add_output_arguments
from sim.study.neighbours import neighbours
from sim.study.prediction_page import prediction_page
from sim.study.replications import predictions
from site_docs.runs.build_cache import ROOT, cached_on_disk

#: Of a command in the root of the repository.
ARGUMENTS = ("--experiment", "experiments/all-threads-hang.toml", "--report", "report.html")

#: Where the site has its page.
URI = "data/report.html"


@cached_on_disk
def example() -> str:
    """The page that the command with these `ARGUMENTS` writes."""
    parser = OneLineParser()
    add_output_arguments(parser)
    add_experiment_arguments(parser)
    with contextlib.chdir(ROOT):
        experiment, notices = experiment_from(parser.parse_args(ARGUMENTS))
    sitting = Sitting()
    summary = summarize(sitting.passing(predictions(experiment)))
    command = command_line("sim", ARGUMENTS, {})
    changes = neighbours(experiment)
    return html(prediction_page(changes, summary, sitting.portrait(), notices, command))
