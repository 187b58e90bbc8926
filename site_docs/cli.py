"""``python -m site_docs measure``: measure what the pages show, on real Gunicorn, on this host."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sim.errors import ExperimentError
from sim.reading.one_line_parser import OneLineParser
from site_docs.runs import measured
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
    names = parser.parse_args(arguments).names
    known = by_name()
    for name in names:
        if name not in known:
            raise ExperimentError(f"{name!r} is not shown; expected some of {', '.join(known)}")
    for number, name in enumerate(names or known, start=1):
        print(f"{name} ({number} of {len(names or known)})", file=sys.stderr)  # noqa: T201
        _measure(known[name])


def _measure(shown: PageExperiment) -> None:
    # They need the extra `app`.
    from reference_app.rig.measure import measure  # noqa: PLC0415
    from reference_app.rig.progress_line import ProgressLine  # noqa: PLC0415
    from reference_app.rig.run_progress import run_progress  # noqa: PLC0415

    experiment = shown.experiment()
    with ProgressLine(sys.stderr) as line:
        runs = [
            measure(experiment, 0, run_progress(line, experiment.traffic, number, shown.repeats))
            for number in range(shown.repeats)
        ]
    measured.save(shown.name, runs)
