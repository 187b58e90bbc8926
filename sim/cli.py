"""``python -m sim``: predict an experiment and print what its replications say together."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim import chrome_trace
from sim.arguments import add_experiment_arguments, experiment_from
from sim.command import writable, write_stdout
from sim.document import document
from sim.errors import ExperimentError
from sim.experiment import Experiment
from sim.model.simulation import predict
from sim.one_line_parser import OneLineParser
from sim.progress import progress
from sim.run import Run, save
from sim.sketch import RELATIVE_ERROR
from sim.summary import Summary, summarize
from sim.traffic import passes
from sim.whole_file import unwritable

if TYPE_CHECKING:
    from rich.console import Console

#: Requests of one replication above which their rows are not kept for a summary: 60 bytes each.
LONG = 1_000_000

_NOT_KEPT = (
    f"more than {LONG:,} requests in a replication: they were counted and not kept, and quantiles "
    f"are within {RELATIVE_ERROR:.1%} (--save keeps them)"
)

#: Commands that `sim.study.cli` has; without one, a single experiment is predicted.
STUDIES = ("size", "sweep", "compare")


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
    parser = OneLineParser(
        prog="python -m sim",
        description="Predict how Gunicorn queues.",
        commands=STUDIES,
        epilog=f"Further commands, each with its own --help: {', '.join(STUDIES)}.",
    )
    add_output_arguments(parser)
    add_experiment_arguments(parser)
    args = parser.parse_args(given)
    experiment, notices = experiment_from(args)
    path, trace = save_path(args), trace_path(args)
    kept = path is not None or trace is not None or not _is_long(experiment)
    if not kept:
        notices = (*notices, _NOT_KEPT)
    runs: Iterable[Run] = predictions(experiment, keep_rows=kept)
    if trace is not None:
        runs = _traced(runs, trace)
    if path is not None:
        runs = list(runs)
        save(runs, path)
    show_summary(summarize(runs), notices, as_json=args.json, timeline=args.timeline)


def _is_long(experiment: Experiment) -> bool:
    """Whether one replication's rows are better not kept, and need not be."""
    return passes(experiment) and experiment.expected_requests > LONG


def predictions(
    experiment: Experiment, variant: int = 0, *, keep_rows: bool = True
) -> Iterator[Run]:
    """Every replication, one after the other, in one variant of the server's chances."""
    with progress("predicting", experiment.replications) as done:
        for replication in range(experiment.replications):
            yield predict(experiment, replication, variant, keep_rows=keep_rows)
            done(replication + 1)


def _traced(runs: Iterable[Run], path: Path) -> Iterator[Run]:
    """The runs, of which the first is traced as soon as it is there."""
    for number, run in enumerate(runs):
        if number == 0:
            chrome_trace.save({"": run}, path)
        yield run


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, ``--timeline``, ``--save`` and ``--trace-out``."""
    output = parser.add_argument_group(
        "output",
        f"requests of a prediction that has more than {LONG:,} of them are counted and not kept, "
        "unless --save or --trace-out asks for them, clients have timeouts, retries or a first "
        "byte that is late, or something goes wrong: quantiles are then within "
        f"{RELATIVE_ERROR:.1%} of what they are",
    )
    output.add_argument("--json", action="store_true", help="print one JSON document, no report")
    output.add_argument(
        "--timeline", action="store_true", help="tell what happened to the processes, and when"
    )
    output.add_argument("--save", metavar="RUN", help="write every request of every run to a file")
    output.add_argument(
        "--trace-out", metavar="FILE.json", help="write the first run for Perfetto to open"
    )


def save_path(args: argparse.Namespace) -> Path | None:
    """Where ``--save`` wants the runs; asked before they are made.

    Raises:
        ExperimentError: when no file can be put there.
    """
    return _path("--save", args.save)


def trace_path(args: argparse.Namespace) -> Path | None:
    """Where ``--trace-out`` wants the trace; asked before there is a run.

    Raises:
        ExperimentError: when no file can be put there, or ``--save`` wants the runs there.
    """
    if args.trace_out is not None and args.trace_out == args.save:
        raise ExperimentError(
            f"--trace-out and --save are both {args.save!r}; expected two different files"
        )
    return _path("--trace-out", args.trace_out)


def _path(flag: str, value: str | None) -> Path | None:
    if value is None:
        return None
    if not value:
        raise ExperimentError(f"{flag} is ''; expected a file to save to")
    return writable(Path(value))


def show_summary(
    summary: Summary, notices: Sequence[str], *, as_json: bool, timeline: bool
) -> None:
    """Print a summary on stdout, as a report or as a document, which has a timeline anyway."""
    if as_json:
        show_document(document(summary, notices))
        return
    # rich costs more start-up than all else together, and only the report needs it.
    from sim.report import print_report  # noqa: PLC0415
    from sim.timeline import print_timeline  # noqa: PLC0415

    def print_on(console: Console) -> None:
        print_report(console, summary, notices)
        if timeline:
            print_timeline(console, summary.events)

    show_report(print_on)


def show_document(value: dict[str, Any]) -> None:
    """Print a document on stdout, and its notices on stderr, where people see them too."""
    for notice in value["notices"]:
        print(f"note: {notice}", file=sys.stderr)  # noqa: T201
    write_stdout(json.dumps(value, indent=2, allow_nan=False) + "\n")


def show_report(print_on: Callable[[Console], None]) -> None:
    """Print what ``print_on`` prints on a console that is as stdout is."""
    from rich.console import Console  # noqa: PLC0415

    console = Console()
    try:
        # Captured, because rich would end the process by itself at a closed pipe.
        with console.capture() as capture:
            print_on(console)
    except OSError as error:
        # At the end rich writes nothing; without a buffer (PYTHONUNBUFFERED) a full disk refuses.
        raise unwritable(Path("stdout"), error) from None
    # rich fills lines up to the width of their column.
    write_stdout("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))
