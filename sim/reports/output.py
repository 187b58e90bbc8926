"""Output of every command: its flags, and where it is printed or saved."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.analysis.summary import Summary
from sim.command import writable, write_stdout
from sim.errors import ExperimentError
from sim.reports.document import document
from sim.run.sketch import RELATIVE_ERROR
from sim.whole_file import unwritable

if TYPE_CHECKING:
    from rich.console import Console

#: Requests of one replication above which their rows are not kept for a summary: 60 bytes each.
LONG = 1_000_000


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, ``--timeline``, ``--save`` and ``--trace-out``."""
    output = parser.add_argument_group(
        "output",
        f"a replication of more than {LONG:,} requests counts them instead of keeping them, and "
        f"its quantiles are within {RELATIVE_ERROR:.1%}. Requests are kept with --save and "
        "--trace-out, with timeouts, retries or slow clients, and with disturbances",
    )
    output.add_argument(
        "--json", action="store_true", help="print one JSON document instead of the report"
    )
    output.add_argument(
        "--timeline",
        action="store_true",
        help="print the process events with their times",
    )
    output.add_argument("--save", metavar="RUN", help="write every request of every run to a file")
    output.add_argument(
        "--trace-out", metavar="FILE.json", help="write the first run for Perfetto to open"
    )


def save_path(args: argparse.Namespace) -> Path | None:
    """The path of ``--save``, checked before any run.

    Raises:
        ExperimentError: when no file can be put there.
    """
    return _path("--save", args.save)


def trace_path(args: argparse.Namespace) -> Path | None:
    """The path of ``--trace-out``, checked before any run.

    Raises:
        ExperimentError: when no file can be put there, or ``--save`` has the same path.
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
    from sim.reports.report import print_report  # noqa: PLC0415
    from sim.reports.timeline import print_timeline  # noqa: PLC0415

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
    """Print the output of ``print_on``, formatted for stdout."""
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
