"""One number of an experiment, named by a path into the document that ``--json`` prints of it.

A path is keys, and places in lists by number or by what the item there says::

    latency_s.p95
    recovery[0].capacity_restored_after_s
    workers[boot_order=1].share
    events[kind=ready,process=worker 3].time_s

Of several items that say so the first is meant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sim.errors import ExperimentError

Unit = Literal["s", "1/s", "B", "requests", "threads", "connections", "share", "ratio"]

_STEP = re.compile(
    r"(?:^|\.)(?P<key>\w+)|\[(?P<place>\d+)\]|\[(?P<fields>\w+=[^\],]+(,\w+=[^\],]+)*)\]"
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a sentence means by a number, and where the number is.

    Attributes:
        name: by which the sentence refers to it.
        what: it is, in words that follow "predicted" and "measured" in a table.
        data: name of the experiment that has it, as in `site_docs.runs.page_experiments`.
        path: to it in the summaries of the experiment's runs, predicted and measured.
        unit: of the number.
        since: path to a number that is taken off it, such as the moment from which a time counts.
        null: what it means in words when there is no number.
        apart: why prediction and measurement are known to be further apart than they should be.

    Raises:
        ExperimentError: when a path cannot be read, or the unit is none of `Unit`.
    """

    name: str
    what: str
    data: str
    path: str
    unit: Unit
    since: str | None = None
    null: str = "not known"
    apart: str | None = None

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            expected = f"expected one of {', '.join(get_args(Unit))}"
            raise ExperimentError(f"unit is {self.unit!r}; {expected}")
        for path in filter(None, (self.path, self.since)):
            _steps(path)

    def value(self, document: Mapping[str, Any]) -> float | None:
        """The number in one document; None where that says that it is not known.

        Raises:
            ExperimentError: when the document has nothing at a path, or no number.
        """
        number = look_up(document, self.path)
        if self.since is None or number is None:
            return number
        begin = look_up(document, self.since)
        return None if begin is None else number - begin

    def words(self, value: float | None) -> str:
        """The ``value`` for people: three digits, MB, and ms where it is less than a second."""
        if value is None:
            return self.null
        match self.unit:
            case "s" if abs(value) < 1:
                return f"{_digits(1000 * value)} ms"
            case "share" | "ratio":
                return f"{_digits(100 * value)} %"
            case "B":
                return f"{_digits(value / 1e6)} MB"
            case "s" | "1/s":
                return f"{_digits(value)} {self.unit}"
        number = _digits(value)
        return f"{number} {self.unit.removesuffix('s') if number == '1' else self.unit}"


def look_up(document: Mapping[str, Any], path: str) -> float | None:
    """The number at ``path`` in a document; None where the document says null.

    Raises:
        ExperimentError: when there is nothing, or no number.
    """
    place: Any = document
    for step in _steps(path):
        before = path[: step.start()] or "the document"
        if step["key"] is not None:
            if not isinstance(place, Mapping) or step["key"] not in place:
                raise ExperimentError(f"{path}: {before} has no key {step['key']!r}")
            place = place[step["key"]]
            continue
        if not isinstance(place, Sequence) or isinstance(place, str):
            raise ExperimentError(f"{path}: {before} is no list")
        if step["place"] is not None:
            items = place[int(step["place"]) :][:1]
        else:
            fields = dict(pair.split("=", 1) for pair in step["fields"].split(","))
            items = [x for x in place if {name: str(x.get(name)) for name in fields} == fields][:1]
        if not items:
            raise ExperimentError(f"{path}: {before} has no item {step[0]}")
        place = items[0]
    if place is not None and (isinstance(place, bool) or not isinstance(place, int | float)):
        raise ExperimentError(f"{path}: is {place!r}; expected a number or null")
    return place


def _steps(path: str) -> list[re.Match[str]]:
    steps = list(_STEP.finditer(path))
    if not steps or "".join(step[0] for step in steps) != path:
        raise ExperimentError(
            f"path is {path!r}; expected keys and places such as 'recovery[0].lost'"
        )
    return steps


def _digits(value: float) -> str:
    """Three significant digits, but all that are before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
