"""Logs of JSON, one document a line.

Keys differ between servers, so they are looked for in the first lines (`sim.reading.log_keys`). Or
they are taken from a format that is JSON itself, such as Gunicorn's ``{"time": "%(t)s", "took":
%(D)s}``. Their order in a line does not matter, and there may be others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import UnionType
from typing import Any

from sim.errors import ExperimentError
from sim.reading import log_keys
from sim.reading.log_format import LogFormat, Template, scaled

#: Keys on the way to a value.
Path = tuple[str, ...]

#: How deep keys are looked for.
_DEPTH = 3

#: Most keys that a message lists.
_LISTED = 20

#: Part of the first lines that must have a key.
_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Keys:
    """Where in a document the fields are; None: to be looked for.

    Attributes:
        time: the time.
        duration: the request time.
        read: reads the latter, s.
        agent: the user agent.
        request: the request line.
        path: the path.
        pid: the process that served the request.
    """

    time: Path | None = None
    duration: Path | None = None
    read: Callable[[Any], float | None] | None = None
    agent: Path | None = None
    request: Path | None = None
    path: Path | None = None
    pid: Path | None = None


@dataclass(frozen=True, slots=True)
class JsonLog:
    """What the first lines show.

    Attributes:
        format: how to read all of them.
        assumed: what the names of keys are taken for without saying it; empty if nothing.
    """

    format: LogFormat
    assumed: str


def documents(lines: Sequence[str]) -> list[dict[str, Any]]:
    """The lines that are JSON objects."""
    return [document for line in lines if (document := _document(line)) is not None]


def detect(lines: Sequence[str], given: Keys = Keys()) -> JsonLog:
    """How to read the log that begins with ``lines``.

    Args:
        lines: some of them JSON objects.
        given: what a format says.

    Raises:
        ExperimentError: when there is no time or no request time, or its unit is unknown.
    """
    columns = _columns(documents(lines))
    keys, assumed = given, ""
    unit = "as the format says"
    producer = log_keys.producer_of({log_keys.plain(path[0]) for path in columns})
    if producer is not None and keys.duration is None:
        of_key = {log_keys.plain(path[0]): path for path in columns if len(path) == 1}
        keys = replace(
            keys,
            duration=of_key.get(producer.duration),
            time=of_key.get(producer.time),
            read=scaled(log_keys.UNITS[producer.unit]),
        )
        unit = f"in {producer.unit}, as {producer.name}"
    else:
        producer = None
    if keys.duration is None:
        path, meaning = _duration(columns)
        keys = replace(keys, duration=path, read=meaning.read)
        unit = f"in {meaning.unit}"
        if meaning.assumed:
            assumed = f'the request time is "{_listed([path])}", {unit}'
    if keys.time is None:
        keys = replace(keys, time=_time(columns))
    if keys.agent is None:
        keys = replace(keys, agent=_named(columns, log_keys.AGENTS))
    if keys.path is None and keys.request is None:
        keys = replace(
            keys,
            path=_named(columns, log_keys.PATHS),
            request=_named(columns, log_keys.REQUESTS),
        )
    if keys.pid is None:
        keys = replace(keys, pid=_named(columns, log_keys.PIDS, int | str))
    assert keys.duration is not None
    has = {name for name in ("agent", "request", "path", "pid") if getattr(keys, name) is not None}
    name = f'JSON lines, request time "{_listed([keys.duration])}" {unit}'
    return JsonLog(
        LogFormat(
            name=name,
            fields=_reader(keys),
            time=log_keys.any_time,
            duration=_seconds(keys.read),
            whole_times=None,
            whole_durations=False,
            begins=producer is not None and producer.begins,
            queueing=None if producer is None else True,
            has=frozenset(has),
        ),
        assumed,
    )


def keys_of(template: Template) -> Keys | None:
    """The keys of a format that is a JSON object; None if it is none."""
    if not template.text.lstrip().startswith("{"):
        return None
    text, place, marks = "", 0, {}
    for number, (start, end, name) in enumerate(template.fields):
        text += template.text[place:start]
        place = end
        mark = f"field {number}"
        marks[mark] = marks[f"[{mark}]"] = template.role(name)
        inside = text.count('"') % 2
        text += mark if inside else f'"{mark}"'
    document = _document(text + template.text[place:])
    if document is None:
        return None
    keys: dict[str, Path] = {}
    for path, value in _leaves(document):
        role = marks.get(value) if isinstance(value, str) else None
        if role is not None:
            keys.setdefault(role, path)
    if "duration" not in keys:
        return None
    return Keys(**keys, read=template.duration.read)


def _document(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _leaves(document: dict[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is none itself of more keys, with the keys on its way; outer ones first."""
    inner = []
    for key, value in document.items():
        if isinstance(value, dict):
            inner.append((key, value))
        else:
            yield (*above, key), value
    if len(above) + 1 < _DEPTH:
        for key, value in inner:
            yield from _leaves(value, (*above, key))


def _columns(documents: Sequence[dict[str, Any]]) -> dict[Path, list[Any]]:
    """The values of each key that most documents have."""
    columns: dict[Path, list[Any]] = {}
    for document in documents:
        for path, value in _leaves(document):
            columns.setdefault(path, []).append(value)
    least = _MOST * len(documents)
    return {path: values for path, values in columns.items() if len(values) >= least}


def _duration(columns: dict[Path, list[Any]]) -> tuple[Path, log_keys.Meaning]:
    meanings = [
        (path, meaning)
        for path, values in columns.items()
        if (meaning := log_keys.request_time(path[-1], values)) is not None
    ]
    if not meanings:
        raise ExperimentError(f"JSON lines without a request time (keys: {_listed(columns)})")
    path, meaning = min(meanings, key=lambda match: (match[1].rank, len(match[0])))
    if meaning.read is None:
        name = _listed([path])
        value = next(value for value in columns[path] if value not in (None, "", "-"))
        raise ExperimentError(
            f'JSON lines whose request time "{name}" (such as {value!r}) does not say its unit; '
            f"expected --log-format '{_example(path)}' with %(L)s if it is in s, %(M)s in ms, "
            "%(D)s in us"
        )
    return path, meaning


def _listed(paths: Iterable[Path]) -> str:
    """Keys for a message, which is one line."""
    return " ".join(", ".join(".".join(path) for path in islice(paths, _LISTED)).split())


def _example(path: Path) -> str:
    """A format in which ``path`` is in ms."""
    *above, last = path
    opening = "".join(f"{{{json.dumps(key)}: " for key in above)
    return f"{opening}{{{json.dumps(last)}: %(M)s}}" + "}" * len(above)


def _time(columns: dict[Path, list[Any]]) -> Path:
    places = {name: place for place, name in enumerate(log_keys.TIMES)}
    matches = []
    for path, values in columns.items():
        place = places.get(log_keys.plain(path[-1]))
        if place is not None and _are_times(values):
            matches.append((place, len(path), path))
    if not matches:
        raise ExperimentError(f"JSON lines without a time (keys: {_listed(columns)})")
    return min(matches)[2]


def _are_times(values: Sequence[Any]) -> bool:
    try:
        for value in values:
            log_keys.any_time(value)
    except (ValueError, OverflowError):
        return False
    return True


def _named(
    columns: dict[Path, list[Any]], names: Sequence[str], type_: type | UnionType = str
) -> Path | None:
    """The key of the first name that one has, whose values are of that type."""
    matches = [
        (names.index(name), len(path), path)
        for path, values in columns.items()
        for name in (log_keys.plain(path[-1]), log_keys.plain("_".join(path)))
        if name in names and all(value is None or isinstance(value, type_) for value in values)
    ]
    return min(matches)[2] if matches else None


def _reader(keys: Keys) -> Callable[[str], dict[str, Any] | None]:
    """Reads the fields of a line."""
    paths = {
        name: path
        for name in ("time", "duration", "agent", "request", "path", "pid")
        if (path := getattr(keys, name)) is not None
    }

    def fields(line: str) -> dict[str, Any] | None:
        document = _document(line)
        if document is None:
            return None
        values = {name: _at(document, path) for name, path in paths.items()}
        # Another program's line, or not of a request.
        return None if values["time"] is None or values["duration"] is None else values

    return fields


def _at(document: dict[str, Any], path: Path) -> object:
    value: Any = document
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _seconds(read: Callable[[Any], float | None] | None) -> Callable[[Any], float | None]:
    """Reads a request time; None where a server has written that there is none."""
    assert read is not None

    def seconds(value: object) -> float | None:
        if value in ("", "-"):
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"{value!r} is no number")
        duration = read(value)
        if duration is not None and not math.isfinite(duration):
            raise ValueError(f"{value!r} is no request time")
        return duration

    return seconds
