"""An access log as a trace: what if the server had been another one, for yesterday's requests?

The file is read line by line, so it may be larger than the memory: two numbers are kept of a line.
See `sim.log_format` for the formats.
"""

from __future__ import annotations

import gzip
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase
from itertools import groupby
from pathlib import Path
from random import Random

from sim import log_format
from sim.errors import ExperimentError
from sim.experiment import MAX_REQUESTS, TraceRow
from sim.log_format import COMMON, LogFormat

#: Longest line that is looked at, in bytes; a URL and a referrer may take 8 KiB each.
MAX_LINE = 65_536

#: Lines that could not be read, of which the numbers are told.
TOLD = 3

#: Lines between two calls of ``progress``.
STEP = 10_000

#: What a request time holds beside the application's work, by whether it holds queueing.
_HOLDS: dict[bool | None, str] = {
    False: "it begins when a thread has the request, so that it holds waits for the GIL and a "
    "core, but for no thread",
    True: "any wait for a thread is in it, and is predicted once more",
}
_HOLDS[None] = f"if Gunicorn logged it, {_HOLDS[False]}; if a proxy did, {_HOLDS[True]}"


@dataclass(slots=True)
class Unread:
    """Lines that could not be read.

    Attributes:
        count: how many.
        first: number and beginning of the first of them.
    """

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, line: str) -> None:
        """Count a line."""
        self.count += 1
        if len(self.first) < TOLD:
            self.first.append((number, line if len(line) <= 40 else f"{line[:37]}..."))

    def __str__(self) -> str:
        told = ", ".join(f"line {number} ({line!r})" for number, line in self.first)
        more = self.count - len(self.first)
        return told + (f" and {more:,} more" if more else "")


@dataclass(frozen=True, slots=True)
class AccessLog:
    """What an access log says.

    Attributes:
        rows: the trace; its first request comes at 0 s.
        notices: what could not be read, and what was assumed.
    """

    rows: tuple[TraceRow, ...]
    notices: tuple[str, ...]


def read(
    path: Path,
    written: str | None,
    seed: int,
    cpu_part: float,
    progress: Callable[[int], None],
) -> AccessLog:
    """Read a log, compressed with gzip or not.

    Args:
        path: of the file.
        written: its format, as the server's setting has it; None tries `sim.log_format.COMMON`.
        seed: of the times within a second, where the log has whole ones.
        cpu_part: part of a request time that is CPU, from 0 to 1; the rest is I/O.
        progress: called now and then with the number of bytes of the file that were read.

    Raises:
        ExperimentError: when the file cannot be read, nothing in it is understood, or it has too
            many requests.
    """
    if not 0 <= cpu_part <= 1:
        raise ExperimentError(f"--log-cpu is {cpu_part:g}; expected a part from 0 to 1")
    format_ = COMMON if written is None else log_format.parse(written)
    times, durations, unread = array("d"), array("d"), Unread()
    try:
        for number, line in _lines(path, progress):
            read = _read_line(line, format_)
            if read is None:
                if line.strip():
                    unread.add(number, line)
                continue
            if len(times) == MAX_REQUESTS:
                raise ExperimentError(
                    f"{path}: line {number}: expected at most {MAX_REQUESTS} requests"
                )
            times.append(read[0])
            durations.append(read[1])
    except (OSError, EOFError, zlib.error) as error:
        raise ExperimentError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from None
    if not times:
        raise ExperimentError(_nothing_read(path, unread, written))
    if format_.whole_times:
        times = _spread(times, Random(f"{seed}/access log"), in_order=not format_.begins)
    return AccessLog(
        _rows(times, durations, cpu_part, begins=format_.begins),
        _notices(path, format_, len(times), unread, seed, cpu_part),
    )


def _lines(path: Path, progress: Callable[[int], None]) -> Iterator[tuple[int, str]]:
    """The lines with their numbers; of one that is too long, the beginning."""
    with path.open("rb") as file:
        # Not read and sought: it may be a pipe.
        zipped = file.peek(2)[:2] == b"\x1f\x8b"
        place = file.tell if file.seekable() else int
        unzipped: BufferedIOBase = gzip.GzipFile(fileobj=file) if zipped else file
        number, whole = 0, True
        while line := unzipped.readline(MAX_LINE):
            if whole:
                number += 1
                # Latin-1 has a character for every byte; what matters is ASCII.
                yield number, line.decode("latin-1").rstrip("\r\n")
                if not number % STEP:
                    progress(place())
            whole = line.endswith(b"\n")


def _read_line(line: str, format_: LogFormat) -> tuple[float, float] | None:
    """The logged time and the request time, s; None if the line is not of the format."""
    match = format_.pattern.fullmatch(line)
    if match is None:
        return None
    try:
        return format_.time(match["time"]), format_.duration(match["duration"])
    except (ValueError, OverflowError):
        return None  # A 30th of February, or a year that there is not.


def _spread(times: array[float], random: Random, *, in_order: bool) -> array[float]:
    """Times within the seconds that ``times`` were cut to; ``in_order``: of the file."""
    spread = array("d", times)
    places = sorted(range(len(times)), key=times.__getitem__)
    for second, group in groupby(places, key=times.__getitem__):
        same = list(group)
        parts = [random.random() for _ in same]
        if in_order:
            parts.sort()
        for place, part in zip(same, parts, strict=True):
            spread[place] = second + part
    return spread


def _rows(
    times: array[float], durations: array[float], cpu_part: float, *, begins: bool
) -> tuple[TraceRow, ...]:
    if not begins:
        times = array("d", (end - took for end, took in zip(times, durations, strict=True)))
    first = min(times)
    return tuple(
        TraceRow(
            times[place] - first, (1 - cpu_part) * durations[place], cpu_part * durations[place]
        )
        for place in sorted(range(len(times)), key=times.__getitem__)
    )


def _nothing_read(path: Path, unread: Unread, written: str | None) -> str:
    if not unread.count:
        return f"{path}: has no lines; expected an access log"
    expected = (
        "the common or combined log format with the request time at the end, such as Gunicorn's "
        "%(D)s or nginx's $request_time, or --log-format"
        if written is None
        else f"--log-format {written!r}"
    )
    return f"{path}: no line could be read, first {unread}; expected {expected}"


def _notices(
    path: Path, format_: LogFormat, requests: int, unread: Unread, seed: int, cpu_part: float
) -> tuple[str, ...]:
    notices = []
    if unread.count:
        lines = requests + unread.count
        notices.append(f"{path}: {unread.count:,} of {lines:,} lines could not be read: {unread}")
    arrival = (
        "Apache logs when a request came"
        if format_.begins
        else "a line is written when a request is over, so it came its request time before that"
    )
    if format_.whole_times:
        arrival += f"; within the logged second, that is drawn at random (seed {seed})"
    if cpu_part:
        demand = f"{cpu_part:.0%} of the request time is CPU with the GIL, the rest I/O"
    else:
        demand = "the request time is I/O, and no CPU but the costs'"
    notices.append(f"{path}: assumed: {arrival}; {demand}; {_HOLDS[format_.queueing]}")
    if format_.whole_durations:
        notices.append(f"{path}: request times are whole seconds; shorter ones are 0")
    if format_ is COMMON:
        notices.append(
            f"{path}: assumed, for there is no --log-format: the last number of a line is the "
            "request time, in s with a decimal point and in us without; and the log is not Apache's"
        )
    return tuple(notices)
