"""The formats of access logs: where in a line the times are, and what they mean.

A format is written as the server's own setting has it: Gunicorn's ``access_log_format``, nginx's
``log_format``, Apache's ``LogFormat``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple

from sim.errors import ExperimentError

#: Of the Common Log Format, which does not speak the language of the locale.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_CLF = r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
_CLF_PARTS = re.compile(r"(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_QUOTED = r'(?:[^"\\]|\\.)*'


@dataclass(frozen=True, slots=True)
class LogFormat:
    """How to read one line.

    Attributes:
        server: Gunicorn, nginx or Apache.
        pattern: matches a whole line; has the groups ``time`` and ``duration``.
        time: reads the former, s since the epoch.
        whole_times: whether that is cut to whole seconds.
        unit: s of 1 in ``duration``; None where a decimal point says that it is 1 s, and no point
            that it is 1 us.
        whole_durations: whether request times are cut to whole seconds.
        begins: whether the time is when the request came; else it is when it was over.
        queueing: whether the request time holds what the request waited in Gunicorn's queues; None
            where that is not known.
    """

    server: str
    pattern: re.Pattern[str]
    time: Callable[[str], float]
    whole_times: bool
    unit: float | None
    whole_durations: bool
    begins: bool
    queueing: bool | None

    def duration(self, text: str) -> float:
        """The request time, s."""
        unit = self.unit
        if unit is None:
            unit = 1.0 if "." in text else 1e-6
        return float(text) * unit


@lru_cache(maxsize=1024)
def clf_time(text: str) -> float:
    """Read ``10/Oct/2000:13:55:36 -0700``, s since the epoch.

    Raises:
        ValueError: when there is no such time.
    """
    match = _CLF_PARTS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not as in the Common Log Format")
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return datetime(
        int(year),
        MONTHS.index(month) + 1,
        int(day),
        int(hour),
        int(minute),
        int(second),
        tzinfo=timezone(-offset if sign == "-" else offset),
    ).timestamp()


@lru_cache(maxsize=1024)
def iso_time(text: str) -> float:
    """Read ``2000-10-10T13:55:36-07:00``, s since the epoch; without a zone it is UTC.

    Raises:
        ValueError: when there is no such time.
    """
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


#: What is tried without a format: the Common Log Format or its combined form, and at the end of
#: the line the request time, perhaps with a name such as ``rt=``.
COMMON = LogFormat(
    server="Gunicorn or nginx",
    pattern=re.compile(
        rf'\S* \S+ .*?\[(?P<time>{_CLF})\] "{_QUOTED}" \d{{3}} (?:\d+|-)'
        rf'(?: "{_QUOTED}"){{0,2}}(?: .*)? (?:[\w.]+=)?"?(?P<duration>\d+(?:\.\d+)?)"?s?\s*'
    ),
    time=clf_time,
    whole_times=True,
    unit=None,
    whole_durations=False,
    begins=False,
    queueing=None,
)


class _Time(NamedTuple):
    """A field that is a time: what it looks like, its reader, and whether it is in whole s."""

    pattern: str
    read: Callable[[str], float]
    whole: bool


class _Duration(NamedTuple):
    """A field that is a request time: what it looks like, and s of 1."""

    pattern: str
    unit: float


class _Language(NamedTuple):
    """How a server writes formats.

    ``field`` matches a field, whose name is its last group; ``durations`` are in order of
    preference; ``text`` matches the names of fields that may hold a space.
    """

    server: str
    written: str
    field: re.Pattern[str]
    times: dict[str, _Time]
    durations: dict[str, _Duration]
    text: re.Pattern[str]


_DECIMAL = r"\d+\.\d+"
_WHOLE = r"\d+"
_NUMBER = r"\d+(?:\.\d+)?"

_GUNICORN = _Language(
    "Gunicorn",
    "%({})s",
    re.compile(r"%\((\{[^}]+\}[ioe]|\w)\)s"),
    {"t": _Time(_CLF, clf_time, True)},
    {
        "D": _Duration(_WHOLE, 1e-6),
        "L": _Duration(_DECIMAL, 1.0),
        "M": _Duration(_WHOLE, 1e-3),
        "T": _Duration(_WHOLE, 1.0),
    },
    re.compile(r"[urUqfa]|\{.*"),
)

_NGINX = _Language(
    "nginx",
    "${}",
    re.compile(r"\$\{?(\w+)\}?"),
    {
        "time_local": _Time(_CLF, clf_time, True),
        "time_iso8601": _Time(r"\d{4}-\d\d-\d\dT\S+?", iso_time, True),
        "msec": _Time(_NUMBER, float, False),
    },
    {
        # What Gunicorn took, without what nginx waited for the client.
        "upstream_response_time": _Duration(_DECIMAL, 1.0),
        "request_time": _Duration(_DECIMAL, 1.0),
    },
    re.compile(r"remote_user|request|(request_)?uri|args|query_string|(sent_)?(http|cookie|up).*"),
)

_APACHE = _Language(
    "Apache",
    "%{}",
    re.compile(r"%[!\d,]*[<>]?((?:\{[^}]*\})?(?:\^[A-Za-z]{2}|[A-Za-z%]))"),
    {
        "t": _Time(_CLF, clf_time, True),
        "{sec}t": _Time(_NUMBER, float, True),
        "{msec}t": _Time(_NUMBER, lambda text: float(text) * 1e-3, False),
        "{usec}t": _Time(_NUMBER, lambda text: float(text) * 1e-6, False),
    },
    {
        "D": _Duration(_WHOLE, 1e-6),
        "{us}T": _Duration(_WHOLE, 1e-6),
        "{ms}T": _Duration(_WHOLE, 1e-3),
        "{s}T": _Duration(_WHOLE, 1.0),
        "T": _Duration(_WHOLE, 1.0),
    },
    re.compile(r"[urUqf]|\{.*"),
)


def parse(text: str) -> LogFormat:
    """The format that a server's setting describes.

    Raises:
        ExperimentError: when it has no time or no request time.
    """
    # As it stands in Apache's and nginx's own files.
    text = text.replace('\\"', '"')
    language = _GUNICORN if "%(" in text else _NGINX if "$" in text else _APACHE
    fields = [(match, match[match.lastindex or 0]) for match in language.field.finditer(text)]
    names = [name for _, name in fields]
    timed = next((name for name in names if _plain(name) in language.times), None)
    took = next((name for name in language.durations if name in names), None)
    if timed is None:
        raise ExperimentError(_without("time", text, language, language.times))
    if took is None:
        raise ExperimentError(_without("request time", text, language, language.durations))
    time, duration = language.times[_plain(timed)], language.durations[took]
    groups = {timed: f"(?P<time>{time.pattern})", took: f"(?P<duration>{duration.pattern})"}
    if timed == "t":
        # Both write the brackets themselves.
        groups[timed] = rf"\[{groups[timed]}\]"
    pattern, place = "", 0
    for match, name in fields:
        pattern += re.escape(text[place : match.start()])
        place = match.end()
        quoted = text[: match.start()].endswith('"') and text.startswith('"', place)
        # A group only once, should the format say it twice.
        pattern += groups.pop(name, "") or _anything(name, language, quoted=quoted)
    return LogFormat(
        language.server,
        re.compile(pattern + re.escape(text[place:]) + r"\s*"),
        time.read,
        time.whole,
        duration.unit,
        whole_durations=duration == _Duration(_WHOLE, 1.0),
        # Apache's is `r->request_time`, unless it is asked for the end (mod_log_config).
        begins=language is _APACHE and not timed.startswith("{end:"),
        queueing=language is not _GUNICORN,
    )


def _plain(name: str) -> str:
    """The name without Apache's ``begin:`` or ``end:``."""
    return re.sub(r"^\{(?:begin|end):", "{", name)


def _anything(name: str, language: _Language, *, quoted: bool) -> str:
    if name == "%":
        return "%"
    if quoted:
        return _QUOTED
    return ".*?" if language.text.fullmatch(name) else r"\S*"


def _without(what: str, text: str, language: _Language, names: Iterable[str]) -> str:
    expected = ", ".join(language.written.replace("{}", name) for name in names)
    return (
        f"log format {text!r}, read as {language.server}'s, has no {what}; "
        f"expected one of {expected}"
    )
