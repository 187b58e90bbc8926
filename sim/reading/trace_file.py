"""A trace: the requests of an experiment as CSV, one a line.

The header is ``arrival_s,io_s,cpu_s``, and ``route`` may follow; every number is in s. A file of
`sim.reading.recorder` is read as well: its times are those of a clock, its lines come in the order
in which requests ended, and its paths become routes.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sim.errors import ExperimentError
from sim.experiment import MAX_REQUESTS, TraceRow
from sim.experiment.route import check_name
from sim.reading import recording
from sim.reading.log_routes import LogRoutes
from sim.reading.recorded_waits import RecordedWaits
from sim.whole_file import whole_file

COLUMNS = ("arrival_s", "io_s", "cpu_s")
HEADER = ",".join(COLUMNS)

#: The header of a trace whose requests name their routes.
WITH_ROUTES = f"{HEADER},route"

#: Longest line that is looked at, in bytes; a file of another kind may have no line end at all.
MAX_LINE = 1000


class Trace(NamedTuple):
    """What a file says.

    Attributes:
        rows: the requests, by arrival.
        waits: what they had waited before they began, where the file is a recording; no prediction
            reads it.
    """

    rows: tuple[TraceRow, ...]
    waits: RecordedWaits


def read(path: Path) -> tuple[TraceRow, ...]:
    """The requests of a trace.

    Raises:
        ExperimentError: as of `read_with_waits`.
    """
    return read_with_waits(path).rows


def read_with_waits(path: Path) -> Trace:
    """Read a trace; a byte-order mark, CRLF and blank lines at the end are tolerated.

    The file is read once, from its begin to its end, so that it may be a pipe.

    Raises:
        ExperimentError: when the file cannot be read or a line is not understood; the message
            names the file and the line.
    """
    if "\0" in str(path):
        raise ExperimentError(f"{str(path)!r} holds a NUL; expected the path of a CSV file")
    waits = RecordedWaits()
    try:
        rows = tuple(_rows(path, waits))
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read ({error.strerror})") from None
    if not rows:
        raise ExperimentError(f"{path}: has no rows; expected requests below {HEADER!r}")
    return Trace(rows, waits)


def write(path: Path, rows: Iterable[TraceRow]) -> None:
    """Write ``rows`` so that `read` gives them back exactly.

    Raises:
        ExperimentError: when the file cannot be written.
    """
    rows = tuple(rows)
    routed = any(row.route for row in rows)
    with whole_file(path) as file:
        file.write((WITH_ROUTES if routed else HEADER) + "\n")
        for row in rows:
            route = f",{row.route}" if routed else ""
            file.write(f"{row.arrival_s!r},{row.io_s!r},{row.cpu_s!r}{route}\n")


def _rows(path: Path, waits: RecordedWaits) -> Iterator[TraceRow]:
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise ExperimentError(f"{path}: is empty; expected the header {HEADER!r}")
    header = first[1].removeprefix("\ufeff")
    if header in recording.HEADERS:
        yield from _recorded(lines, path, header, waits)
        return
    if header not in (HEADER, WITH_ROUTES):
        raise ExperimentError(
            f"{path}: line 1 is {_shortened(header)!r}; expected the header {HEADER!r} or "
            f"{WITH_ROUTES!r}"
        )
    before = 0.0
    blank = 0  # The first blank line, which only another blank one may follow.
    for count, (number, line) in enumerate(lines):
        where = f"{path}: line {number}"
        if not line.strip():
            blank = blank or number
            continue
        if blank:
            raise ExperimentError(f"{path}: line {blank} is blank; expected {header!r}")
        if count >= MAX_REQUESTS:
            raise ExperimentError(f"{where}: expected at most {MAX_REQUESTS} requests")
        row = _row(line, where, header)
        if row.arrival_s < before:
            raise ExperimentError(
                f"{where}: arrival_s is {row.arrival_s!r}, before the line above ({before!r}); "
                f"expected arrivals in order"
            )
        before = row.arrival_s
        yield row


def _recorded(
    lines: Iterator[tuple[int, str]], path: Path, header: str, waits: RecordedWaits
) -> Iterator[TraceRow]:
    """The rows of a recording, by arrival; adds to ``waits`` what each had waited before.

    Half a line is left out where it is the last one, or a header is below it: a crash of the
    machine, or a full disk, may have cut it off.
    """
    times: list[tuple[float, float, float]] = []
    routes, codes = LogRoutes(), array("i")
    columns = recording.HEADERS[header]
    bad: ExperimentError | None = None
    for number, line in lines:
        if line in recording.HEADERS:
            header, columns, bad = line, recording.HEADERS[line], None
            continue
        if bad is not None:
            raise bad
        where = f"{path}: line {number}"
        try:
            cells = _cells(line, where, header)
            arrival, io, cpu = (
                columns.unit * _number(cell, f"{where}: {name}")
                for name, cell in zip(columns.names[:3], cells, strict=False)
            )
        except ExperimentError as error:
            bad = error
            continue
        if len(times) >= MAX_REQUESTS:
            raise ExperimentError(f"{where}: expected at most {MAX_REQUESTS} requests")
        times.append((arrival, io, cpu))
        codes.append(routes.code(cells[-1]))
        waits.add(columns, cells)
    frequent = routes.frequent(codes)
    names = (frequent.names[frequent.place(code)] for code in codes)
    named = sorted(zip(times, names, strict=True))
    if named:
        (began, _, _), _ = named[0]
        for (arrival, io, cpu), route in named:
            yield TraceRow(arrival - began, io, cpu, route)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, without their ends."""
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), start=1):
            where = f"{path}: line {number}"
            if b"\0" in line:
                raise ExperimentError(f"{where} holds a NUL byte; expected a CSV file")
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                raise ExperimentError(f"{where} is not UTF-8; expected a CSV file") from None
            if len(line) == MAX_LINE and not text.endswith("\n"):
                raise ExperimentError(f"{where} is longer than {MAX_LINE} bytes; expected {HEADER}")
            yield number, text.rstrip("\r\n")


def _row(line: str, where: str, header: str) -> TraceRow:
    cells = _cells(line, where, header)
    arrival, io, cpu = (
        _number(cell, f"{where}: {name}") for name, cell in zip(COLUMNS, cells, strict=False)
    )
    if header == HEADER:
        return TraceRow(arrival, io, cpu)
    route = cells[-1].strip()
    try:
        check_name(route)
    except ExperimentError as error:
        raise ExperimentError(f"{where}: {error}") from None
    return TraceRow(arrival, io, cpu, route)


def _cells(line: str, where: str, header: str) -> list[str]:
    cells, columns = line.split(","), header.count(",") + 1
    if len(cells) != columns:
        raise ExperimentError(f"{where} has {len(cells)} columns; expected {columns}: {header}")
    return cells


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise ExperimentError(
            f"{where} is {_shortened(cell.strip())!r}; expected a finite number >= 0"
        )
    return value


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
