"""What the keys of a structured log mean: which is the request time, in which unit, which the time.

Servers and log libraries have no common names. A name says the unit where it ends with one
(``duration_ms``), or where one server is known for it: nginx's ``$request_time`` is in s, with a
decimal point. A value may say it too (``"12.5ms"``). Any other unit is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from sim.reading.log_format import UPSTREAM, clf_time, iso_time, scaled, upstream_seconds

#: s of 1, by what names end with.
UNITS: dict[str, float] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "usec", "usecs", "micros", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nsec", "nanos", "nanosecond", "nanoseconds"), 1e-9),
}

#: A number with its unit, such as ``12.5ms``; the sign of micro is two characters in Latin-1.
_WITH_UNIT = re.compile(r"(\d+(?:\.\d+)?) ?(s|ms|us|ns|\u00c2?\u00b5s|\u03bcs)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_UPSTREAM = re.compile(UPSTREAM)

#: Names of request times, without their units.
_DURATION = re.compile(
    r"(.*_)?(duration|latency|elapsed|took|runtime|rt|urt|time_taken|time_elapsed"
    r"|(request|response|processing|service|upstream|execution|total|process|handler)_time)"
    r"(_.*)?"
)

#: Parts of names whose times are only a part of the request's.
_PART = re.compile(r"(^|_)(connect|header|dns|tls|ssl|handshake|queue|first_byte|ttfb|start)(_|$)")

#: Times of nginx, in s with three decimals; the last is what ``rt=`` and ``urt=`` are used for.
_NGINX = ("upstream_response_time", "urt", "request_time", "rt")

#: Of Gunicorn's ``%(D)s`` and the like, where a key is that letter.
_GUNICORN = {"L": 1.0, "D": 1e-6, "M": 1e-3, "T": 1.0}

#: Where a name with the unit stands among the names of nginx: after those of upstreams.
_SUFFIXED = 2

#: After all that are known.
_UNKNOWN = len(_NGINX) + len(_GUNICORN) + 1

#: Beginning of the range of times since the epoch, s: 2001. None is later than 2200.
_EPOCH = 1e9


class Meaning(NamedTuple):
    """What a key that is a request time means.

    Attributes:
        rank: lower is better, where a line has several.
        read: reads its values, s; None if the unit is unknown.
        unit: in words.
        assumed: whether the name is only known to be used for that unit, and does not say it.
    """

    rank: int
    read: Callable[[Any], float | None] | None
    unit: str
    assumed: bool = False


def plain(key: str) -> str:
    """The key in lower case, with ``_`` between its words."""
    snake_case = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)
    return re.sub(r"[-. ]", "_", snake_case).lower()


def request_time(key: str, values: Iterable[object]) -> Meaning | None:
    """What ``key`` means, if it is a request time.

    Args:
        key: the name; where it is nested, the last part.
        values: some of its values.
    """
    name = plain(key)
    named = _named(key, name)
    known = [value for value in values if value not in (None, "", "-")]
    if (
        not known
        or any(isinstance(value, bool) for value in known)
        or (named is None and not _DURATION.fullmatch(name) and name != "time")
        or _PART.search(name)
    ):
        return None
    texts = [str(value) for value in known]
    if all(_WITH_UNIT.fullmatch(text) for text in texts):
        return Meaning(_SUFFIXED, with_unit, "the unit that is written with it")
    if name in _NGINX and all(_UPSTREAM.fullmatch(text) and "." in text for text in texts):
        return Meaning(_rank(name), upstream_seconds_of, "s, as nginx's", assumed=True)
    if not all(_NUMBER.fullmatch(text) for text in texts):
        return None
    if named is not None:
        return named
    # Else a time of the day.
    short = name != "time" or all(float(text) < _EPOCH for text in texts)
    return Meaning(_UNKNOWN, None, "an unknown unit") if short else None


def _named(key: str, name: str) -> Meaning | None:
    """What a name alone says."""
    if key in _GUNICORN:
        rank = len(_NGINX) + 1 + list(_GUNICORN).index(key)
        return Meaning(rank, scaled(_GUNICORN[key]), f"Gunicorn's %({key})s")
    base, _, unit = name.rpartition("_")
    base = base.removesuffix("_in")
    if unit in UNITS and (_DURATION.fullmatch(base) or base == "time"):
        return Meaning(_SUFFIXED, scaled(UNITS[unit]), f"{unit}, as its name says")
    return None


def _rank(name: str) -> int:
    place = _NGINX.index(name)
    return place if place < _SUFFIXED else place + 1


def with_unit(value: object) -> float:
    """Read ``12.5ms``, s.

    Raises:
        ValueError: when there is no unit.
    """
    match = _WITH_UNIT.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is no number with a unit")
    unit = match[2] if match[2] in UNITS else "us"
    return float(match[1]) * UNITS[unit]


def upstream_seconds_of(value: object) -> float | None:
    """`upstream_seconds` of a value of JSON, which may be a number."""
    return float(value) if isinstance(value, int | float) else upstream_seconds(str(value or "-"))


#: Names of the time, best first.
TIMES = (
    *("msec", "time_iso8601", "time_local", "@timestamp", "timestamp", "ts", "time", "t"),
    *("datetime", "date_time", "asctime", "date", "time_msec", "end_time", "logged_at"),
)

#: Names of what probes are known by, best first.
AGENTS = ("http_user_agent", "user_agent", "useragent", "agent", "a", "user_agent_original")
REQUESTS = ("request", "request_line", "r")
PATHS = (
    *("path", "request_path", "uri", "request_uri", "url_path", "url", "request_url", "u"),
    *("http_target", "endpoint"),
)

PIDS = ("pid", "p", "worker_pid", "process_id", "process")


class Producer(NamedTuple):
    """A proxy that writes JSON lines whose keys do not say the unit.

    Attributes:
        name: of the proxy.
        keys: by which its lines are known, as `plain` writes them.
        duration: the key of the time that the application took.
        unit: what its numbers are in.
        time: the key of the time.
        begins: whether that is the request's beginning.
    """

    name: str
    keys: frozenset[str]
    duration: str
    unit: str
    time: str
    begins: bool


#: Traefik: the documentation of its access logs. Envoy: its documentation, "Access logging", and
#: the keys of Istio's JSON encoding. Caddy: `caddyhttp.Server.logRequest`, which logs s.
PRODUCERS = (
    Producer(
        "Traefik",
        frozenset({"origin_duration", "origin_status", "start_utc"}),
        "origin_duration",
        "ns",
        "start_utc",
        True,
    ),
    Producer(
        "Envoy's",
        frozenset({"response_flags", "upstream_service_time", "start_time"}),
        "upstream_service_time",
        "ms",
        "start_time",
        True,
    ),
    Producer("Caddy", frozenset({"resp_headers", "bytes_read"}), "duration", "s", "ts", False),
)


def producer_of(names: Collection[str]) -> Producer | None:
    """The proxy that writes lines with keys of these plain names."""
    return next((each for each in PRODUCERS if each.keys <= set(names)), None)


def any_time(value: object) -> float:
    """Read a time as logs have it: of the Common Log Format, of ISO 8601, or since the epoch.

    Args:
        value: text or a number; a number may be of s, ms, us or ns, which are far apart.

    Raises:
        ValueError: when it is none of these.
    """
    if isinstance(value, str):
        if value.startswith("["):
            value = value[1:].removesuffix("]")
        if len(value) > 2 and value[2] == "/":
            return clf_time(value)
        if len(value) > 4 and value[4] == "-":
            return iso_time(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is no time")
    number = float(value)
    for unit in (1.0, 1e-3, 1e-6, 1e-9):
        if _EPOCH <= number * unit < 8 * _EPOCH:
            return number * unit
    raise ValueError(f"{value!r} is no time since the epoch")
