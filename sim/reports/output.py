"""Output of every command: its flags, and where it is printed or saved."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import combinations
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

    from sim.reports.html.page import Page

#: Requests of one replication above which their rows are not kept for a summary: 60 bytes each.
LONG = 1_000_000

#: Flags of all commands after which a file is written: no two of them the same.
WRITTEN = (
    *("--report", "--trace-out", "--chart", "--sarif", "--out", "--write", "--resume"),
    "--save",
)

#: What a page takes, which the extra ``report`` brings.
REPORT_NEEDS = ("jinja2", "matplotlib")


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, ``--timeline``, ``--report``, ``--save`` and ``--trace-out``."""
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
    add_report_argument(output)
    output.add_argument("--save", metavar="RUN", help="write every request of every run to a file")
    output.add_argument(
        "--trace-out", metavar="FILE.json", help="write the first run for Perfetto to open"
    )


def add_report_argument(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add ``--report``."""
    parser.add_argument(
        "--report",
        metavar="FILE.html",
        help="write a page with charts, one file that loads nothing (extra 'report')",
    )


def save_path(args: argparse.Namespace) -> Path | None:
    """The path of ``--save``, checked before any run.

    Raises:
        ExperimentError: when no file can be put there.
    """
    return _path(args, "--save")


def trace_path(args: argparse.Namespace) -> Path | None:
    """The path of ``--trace-out``, checked before any run.

    Raises:
        ExperimentError: when no file can be put there.
    """
    return _path(args, "--trace-out")


def report_path(args: argparse.Namespace) -> Path | None:
    """The path of ``--report``, checked before any run.

    Raises:
        ExperimentError: when no file can be put there, two flags of the command write one file, or
            what a page takes is not installed.
    """
    path = _path(args, "--report")
    _refuse_one_file(args)
    if path is not None:
        missing = [name for name in REPORT_NEEDS if find_spec(name) is None]
        if missing:
            raise ExperimentError(
                f"{' and '.join(missing)} cannot be imported; --report needs the extra 'report': "
                "pip install 'gunicorn-sim[report]'"
            )
    return path


def _path(args: argparse.Namespace, flag: str) -> Path | None:
    value = _value(args, flag)
    if value is None:
        return None
    if not value:
        raise ExperimentError(f"{flag} is ''; expected a file to save to")
    return writable(Path(value))


def _value(args: argparse.Namespace, flag: str) -> str | None:
    value: str | None = getattr(args, flag.removeprefix("--").replace("-", "_"), None)
    return value


def _refuse_one_file(args: argparse.Namespace) -> None:
    """Refuse two flags that write the same file."""
    written = [(flag, value) for flag in WRITTEN if (value := _value(args, flag))]
    for (flag, value), (other, its) in combinations(written, 2):
        if Path(value).absolute() == Path(its).absolute():
            raise ExperimentError(
                f"{flag} and {other} are both {value!r}; expected two different files"
            )


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


def write_page(page: Page, path: Path) -> None:
    """Write the page of ``--report``.

    Raises:
        ExperimentError: when it cannot be written.
    """
    from sim.reports.html.render import write  # noqa: PLC0415 - it brings Jinja2 and Matplotlib

    write(page, path)
