"""Access logs as traces: predict another server for yesterday's requests.

The file is read line by line, so it may be larger than the memory: two numbers are kept of a line.
`sim.reading.known_log_formats` decides by the first lines which format it is in.
"""

from __future__ import annotations

import gzip
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase
from itertools import chain, groupby, pairwise
from operator import sub
from pathlib import Path
from random import Random
from statistics import median

from sim.errors import ExperimentError
from sim.experiment import MAX_REQUESTS, TraceRow
from sim.experiment.notice import Assumption
from sim.reading import known_log_formats
from sim.reading.known_log_formats import Choice, UnreadableLogError
from sim.reading.log_format import Fields, LogFormat
from sim.reading.log_routes import LogRoutes

#: Longest line that is looked at, in bytes; a URL and a referrer may take 8 KiB each.
MAX_LINE = 65_536

#: Longest request time, s: a number beyond it is no request time.
MAX_DURATION = 1e9

#: First lines that decide the format, and how many characters of them.
FIRST_LINES, FIRST_CHARACTERS = 1_000, 262_144

#: Unread lines that are quoted.
QUOTED_LINES = 3

#: Lines between two calls of ``progress``.
STEP = 10_000

#: User agents of health checks, mentioned if nothing skips them: Kubernetes', AWS's, Google's.
PROBES = ("kube-probe", "ELB-HealthChecker", "GoogleHC")

#: What a request time includes beside the application's work, by `LogFormat.queueing`.
_INCLUDES: dict[bool | None, str] = {
    False: "it begins when a thread has the request, so it includes waiting for the GIL and a "
    "core, but not for a thread",
    True: "it includes any wait for a thread, which is predicted once more",
}
_INCLUDES[None] = f"if Gunicorn logged it, {_INCLUDES[False]}; if a proxy did, {_INCLUDES[True]}"


@dataclass(frozen=True, slots=True)
class Configured:
    """The ``access_log_format`` of a Gunicorn configuration.

    Attributes:
        text: the setting.
        where: file or flag that it is from.
    """

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How a log is to be read.

    Attributes:
        format: of ``--log-format``, as the server's setting has it; None: as ``configured``, or
            found out.
        configured: of Gunicorn's configuration; not used if the log has no line of it.
        cpu_part: part of a request time that is CPU, from 0 to 1; the rest is I/O.
        skip_agents: requests are left out whose user agent contains one of these, in any case.
        skip_paths: requests are left out whose path, without its query, is one of these, or begins
            with one that ends in ``*``.
        by_route: whether requests are grouped by path; see `sim.reading.log_routes`.
    """

    format: str | None = None
    configured: Configured | None = None
    cpu_part: float = 0.0
    skip_agents: tuple[str, ...] = ()
    skip_paths: tuple[str, ...] = ()
    by_route: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.cpu_part <= 1:
            raise ExperimentError(f"--log-cpu is {self.cpu_part:g}; expected a part from 0 to 1")
        for agent in self.skip_agents:
            if not agent.strip():
                raise ExperimentError(
                    f"--skip-agent is {agent!r}; expected a part of a user agent, as kube-probe"
                )
        for path in self.skip_paths:
            if not path.startswith(("/", "*")) or "?" in path or "*" in path[:-1]:
                raise ExperimentError(
                    f"--skip-path is {path!r}; expected a path without a query, as /health, or "
                    "its beginning with * at the end, as /health/*"
                )


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
        if len(self.first) < QUOTED_LINES:
            self.first.append((number, line if len(line) <= 40 else f"{line[:37]}..."))

    def __str__(self) -> str:
        quoted = ", ".join(f"line {number} ({line!r})" for number, line in self.first)
        more = self.count - len(self.first)
        return quoted + (f" and {more:,} more" if more else "")


@dataclass(frozen=True, slots=True)
class AccessLog:
    """What an access log says.

    Attributes:
        rows: the trace; its first request comes at 0 s.
        notices: an `Assumption` about the unit, if nothing says it; what could not be read, what
            was left out, and what was assumed.
    """

    rows: tuple[TraceRow, ...]
    notices: tuple[str, ...]


class _Skipping:
    """Decides which requests are left out, and counts them by flag."""

    def __init__(self, reading: Reading) -> None:
        self.counts = {
            **{f"--skip-agent {agent}": 0 for agent in reading.skip_agents},
            **{f"--skip-path {path}": 0 for path in reading.skip_paths},
        }
        self._agents = [(agent.lower(), f"--skip-agent {agent}") for agent in reading.skip_agents]
        self._paths = [(path, f"--skip-path {path}") for path in reading.skip_paths]

    def check(self, format_: LogFormat) -> None:
        """Refuse a format that does not have what is asked for.

        Raises:
            ExperimentError: when it has no user agent or no path.
        """
        if self._agents and "agent" not in format_.has:
            raise ExperimentError(
                f"--skip-agent is given, but {format_.name} has no user agent; expected a format "
                "with it"
            )
        if self._paths:
            _check_path("--skip-path", format_)

    def skips(self, fields: Fields, has: frozenset[str]) -> bool:
        """Whether the request is left out; counts it then."""
        if self._agents and "agent" in has:
            agent = (fields["agent"] or "").lower()
            for part, flag in self._agents:
                if part in agent:
                    self.counts[flag] += 1
                    return True
        if self._paths and has & {"path", "request"}:
            path = _path_of(fields, has)
            for skipped, flag in self._paths:
                if path == skipped or (skipped[-1] == "*" and path.startswith(skipped[:-1])):
                    self.counts[flag] += 1
                    return True
        return False


@dataclass(slots=True)
class _Lines:
    """What is kept of the lines.

    Attributes:
        times: logged times, s since the epoch.
        durations: request times, s.
        unread: lines that are not of the format.
        unanswered: lines of requests that did not reach Gunicorn, or got no response from it.
        routes: of the requests; None where they are not grouped.
    """

    times: array[float] = field(default_factory=lambda: array("d"))
    durations: array[float] = field(default_factory=lambda: array("d"))
    unread: Unread = field(default_factory=Unread)
    unanswered: int = 0
    routes: LogRoutes | None = None


def read(path: Path, reading: Reading, seed: int, progress: Callable[[int], None]) -> AccessLog:
    """Read a log, compressed with gzip or not.

    Args:
        path: of the file.
        reading: how.
        seed: of the times within a second, where the log has whole ones.
        progress: called now and then with the number of bytes of the file that were read.

    Raises:
        ExperimentError: when the file cannot be read, nothing in it is understood, its request
            times cannot be what they are taken for, or it has too many requests.
    """
    skipping = _Skipping(reading)
    lines = _Lines(routes=LogRoutes() if reading.by_route else None)
    try:
        numbered = _lines(path, progress)
        first = _first(numbered)
        if not first:
            raise ExperimentError(f"{path}: has no lines; expected an access log")
        choice, notices = _choose(path, reading, first)
        for format_ in choice.formats:
            skipping.check(format_)
            if reading.by_route:
                _check_path("--by-route", format_)
        _read_lines(path, chain(first, numbered), choice.formats, skipping, lines)
    except (OSError, EOFError, zlib.error) as error:
        raise ExperimentError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from None
    times, durations = lines.times, lines.durations
    if not times:
        raise ExperimentError(_nothing_read(path, choice, lines, skipping))
    if choice.assumed:
        problem = known_log_formats.refusal(median(durations), choice.assumed)
        if problem is not None:
            raise ExperimentError(f"{path}: {problem}")
    format_ = choice.formats[0]
    begins = _begins(times, durations) if format_.begins is None else format_.begins
    whole = format_.whole_times
    if whole is None:
        whole = all(time.is_integer() for time in times)
    if whole:
        times = _spread(times, Random(f"{seed}/access log"), in_order=not begins)
    notices += _probes(path, first, choice, skipping)
    notices += _left_out(path, lines, skipping)
    notices += _assumptions(path, format_, seed, reading.cpu_part, begins=begins, whole=whole)
    names: list[str] = []
    if lines.routes is not None:
        names = lines.routes.names()
        notices.append(f"{path}: {lines.routes.notice(names)}")
    rows = _rows(times, durations, reading.cpu_part, names, begins=begins)
    return AccessLog(rows, tuple(notices))


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


def _first(numbered: Iterator[tuple[int, str]]) -> list[tuple[int, str]]:
    """The lines by which the format is known; empty ones are left out."""
    first, characters = [], 0
    for number, line in numbered:
        if not line.strip():
            continue
        first.append((number, line))
        characters += len(line)
        if len(first) == FIRST_LINES or characters > FIRST_CHARACTERS:
            break
    return first


def _choose(path: Path, reading: Reading, first: list[tuple[int, str]]) -> tuple[Choice, list[str]]:
    """The format of the log, and notices of how it was chosen.

    Raises:
        ExperimentError: when it is unknown.
    """
    lines = [line for _, line in first]
    if reading.format is not None:
        try:
            return known_log_formats.given(reading.format, lines), []
        except ExperimentError as error:
            raise ExperimentError(f"--log-format: {error}") from None
    notices = []
    configured = reading.configured
    if configured is not None:
        if _is_of(configured.text, lines):
            try:
                choice = known_log_formats.given(configured.text, lines)
            except ExperimentError as error:
                raise ExperimentError(f"{path}: {configured.where}: {error}") from None
            return choice, [
                f"{path}: read with the access_log_format of {configured.where}, which says the "
                "unit of the request times"
            ]
        notices.append(
            f"{path}: the access_log_format of {configured.where} does not fit it and is not used"
        )
    try:
        choice = known_log_formats.detect(lines)
    except UnreadableLogError as error:
        number, line = next(numbered for numbered in first if numbered[1] == error.line)
        quoted = line if len(line) <= 60 else f"{line[:57]}..."
        about = "" if configured is None else f"not in the format of {configured.where}, but "
        expected = "" if "expected" in str(error) else f"; expected {known_log_formats.KNOWN}"
        expected += "" if "--log-format" in str(error) else "; or --log-format"
        raise ExperimentError(
            f"{path}: line {number} ({quoted!r}): {about}{error}{expected}"
        ) from None
    if choice.assumed:
        return choice, [
            Assumption(
                f"{path}: assumed that {choice.assumed}. If it is not, every number below is "
                "wrong: set --log-format to the server's format, which says the unit."
            ),
            *notices,
        ]
    return choice, [*notices, f"{path}: read as {choice.formats[0].name}"]


def _is_of(text: str, lines: list[str]) -> bool:
    """Whether the server with that format wrote most lines, or else some of them."""
    fitting = known_log_formats.matches(text, lines)
    if not fitting and text.lstrip().startswith("{"):
        # Its keys may be in another order.
        return sum(line.lstrip().startswith("{") for line in lines) * 2 > len(lines)
    return fitting > 0


def _read_lines(
    path: Path,
    numbered: Iterator[tuple[int, str]],
    formats: tuple[LogFormat, ...],
    skipping: _Skipping,
    lines: _Lines,
) -> None:
    """Read every line, into ``lines``."""
    times, durations, skips = lines.times, lines.durations, bool(skipping.counts)
    for number, line in numbered:
        for format_ in formats:
            fields = format_.fields(line)
            if fields is not None:
                break
        else:
            if line.strip():
                lines.unread.add(number, line)
            continue
        try:
            time = format_.time(fields["time"])
            duration = format_.duration(fields["duration"])
        except (ValueError, OverflowError):
            lines.unread.add(number, line)  # A 30th of February, or a year that there is not.
            continue
        if skips and skipping.skips(fields, format_.has):
            continue
        if duration is None:
            lines.unanswered += 1
            continue
        if not 0 <= duration <= MAX_DURATION:
            lines.unread.add(number, line)
            continue
        if len(times) == MAX_REQUESTS:
            raise ExperimentError(
                f"{path}: line {number}: expected at most {MAX_REQUESTS} requests"
            )
        times.append(time)
        durations.append(duration)
        if lines.routes is not None:
            lines.routes.add(_path_of(fields, format_.has))


def _check_path(flag: str, format_: LogFormat) -> None:
    """Refuse a format without the paths that a flag needs.

    Raises:
        ExperimentError: when it has neither path nor request line.
    """
    if not format_.has & {"path", "request"}:
        raise ExperimentError(
            f"{flag} is given, but {format_.name} has neither path nor request line; expected a "
            "format with one"
        )


def _path_of(fields: Fields, has: frozenset[str]) -> str:
    """The path of a line, without its query."""
    return _path(fields["path" if "path" in has else "request"] or "")


def _path(request: str) -> str:
    """The path of a request line, of a URL or of a path, without its query."""
    parts = request.split(" ", 2)
    target = parts[1] if len(parts) > 1 else parts[0]
    target = target.partition("?")[0]
    _, scheme, rest = target.partition("://")
    if scheme:
        _, slash, path = rest.partition("/")
        return slash + path or "/"
    return target


def _begins(times: array[float], durations: array[float]) -> bool:
    """Whether lines are in the order in which requests ended only if times are beginnings.

    Apache logs when a request came, and all servers write lines when requests end. Times are cut
    to seconds, so that only steps back of more than one count.
    """
    steps_back = sum(after < before - 1 for before, after in pairwise(times))
    if not steps_back:
        return False
    ends = map(float.__add__, times, durations)
    return steps_back > 2 * sum(after < before - 1 for before, after in pairwise(ends))


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
    times: array[float],
    durations: array[float],
    cpu_part: float,
    names: Sequence[str],
    *,
    begins: bool,
) -> tuple[TraceRow, ...]:
    if not begins:
        times = array("d", map(sub, times, durations))
    first = min(times)
    return tuple(
        TraceRow(
            times[place] - first,
            (1 - cpu_part) * durations[place],
            cpu_part * durations[place],
            names[place] if names else "",
        )
        for place in sorted(range(len(times)), key=times.__getitem__)
    )


def _nothing_read(path: Path, choice: Choice, lines: _Lines, skipping: _Skipping) -> str:
    left_out = _left_out(path, lines, skipping)
    if sum(skipping.counts.values()) or lines.unanswered:
        return f"{'; '.join(left_out)}; expected at least one other request"
    return (
        f"{path}: no line could be read, first {lines.unread}; expected "
        f"{choice.formats[0].name}, or another --log-format"
    )


def _probes(
    path: Path, first: list[tuple[int, str]], choice: Choice, skipping: _Skipping
) -> list[str]:
    """A notice of health checks among the first lines that count as traffic."""
    skipped = " ".join(skipping.counts).lower()
    probes = [probe for probe in PROBES if probe.lower() not in skipped]
    notices = []
    for probe in probes:
        # A user agent may name anything: a line is a probe's if it begins with it.
        count = sum(f'"{probe}/' in line for _, line in first)
        if count and "agent" in choice.formats[0].has:
            notices.append(
                f"{path}: {count:,} of the first {len(first):,} lines are health checks of "
                f"{probe}, and count as traffic; --skip-agent {probe} leaves them out"
            )
    return notices


def _left_out(path: Path, lines: _Lines, skipping: _Skipping) -> list[str]:
    """Notices of lines without a row."""
    notices = []
    requests = len(lines.times)
    skipped = sum(skipping.counts.values())
    total = requests + skipped + lines.unanswered + lines.unread.count
    if skipping.counts:
        each = ", ".join(f"{flag} {count:,}" for flag, count in skipping.counts.items())
        notices.append(f"{path}: {skipped:,} of {total:,} lines skipped ({each})")
    if lines.unanswered:
        notices.append(
            f"{path}: {lines.unanswered:,} of {total:,} lines are of requests that did not reach "
            "Gunicorn or got no response from it, and have no request time; they are left out"
        )
    if lines.unread.count:
        notices.append(
            f"{path}: {lines.unread.count:,} of {total:,} lines could not be read: {lines.unread}"
        )
    return notices


def _assumptions(
    path: Path, format_: LogFormat, seed: int, cpu_part: float, *, begins: bool, whole: bool
) -> list[str]:
    """Notices of what the log does not say."""
    if not begins:
        arrival = "a line is written when a request ends, so it came its request time before that"
    elif format_.begins is None:
        arrival = (
            "the logged time is when a request came, as in Apache's logs: only then are the lines "
            "in the order of their ends"
        )
    else:
        arrival = "the logged time is when a request came"
    if whole:
        arrival += f"; within the logged second, that is drawn at random (seed {seed})"
    if cpu_part:
        demand = f"{cpu_part:.0%} of the request time is CPU with the GIL, the rest I/O"
    else:
        demand = "the request time is I/O, with no CPU but the costs'"
    notices = [f"{path}: assumed: {arrival}; {demand}; {_INCLUDES[format_.queueing]}"]
    if format_.whole_durations:
        notices.append(f"{path}: request times are whole seconds; shorter ones are 0")
    return notices
