"""Makes an experiment that fails as simple as it can be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, replace
from typing import Any, Final

from sim.errors import ExperimentError
from sim.experiment import Experiment

#: Parts of an experiment whose fields are tried one by one.
PARTS: Final = ("server", "host", "traffic", "launchdarkly", "proxy")


#: s after which no simpler experiment is tried: a prediction that never ends takes the jury's
#: whole patience each time.
PATIENCE: Final = 300.0


def shrunk(
    asked: Experiment, fails: Callable[[Experiment], bool], patience: float = PATIENCE
) -> Experiment:
    """The simplest experiment that still ``fails``, of those that single steps lead to.

    Greedy: it goes on from the first simpler experiment that fails, until none fails or
    ``patience`` s have passed.
    """
    deadline = time.monotonic() + patience

    def in_time(simpler: Experiment) -> bool:
        return time.monotonic() < deadline and fails(simpler)

    while (simpler := next(filter(in_time, simpler_than(asked)), None)) is not None:
        asked = simpler
    return asked


def simpler_than(asked: Experiment) -> Iterator[Experiment]:
    """Experiments that are simpler in one thing, the simplest first.

    An experiment puts some defaults back by itself, such as the costs of its worker class. One that
    is as before for that reason is left out.
    """
    return (each for each in _with_less(asked) if each != asked)


def _with_less(asked: Experiment) -> Iterator[Experiment]:
    yield from _with_fewer_requests(asked)
    for name in ("disturbances", "probes"):
        rows = getattr(asked, name)
        for place in range(len(rows)):
            yield from _changed(asked, **{name: (*rows[:place], *rows[place + 1 :])})
    if asked.costs != (default := type(asked)().costs):
        yield from _changed(asked, costs=default)
    if asked.gc_freeze:
        yield from _changed(asked, gc_freeze=False)
    for name in PARTS:
        part = getattr(asked, name)
        for field in fields(part):
            simplest = _default(field)
            if field.name in ("requests", "trace", "duration", "arrivals") or (
                simplest is MISSING or getattr(part, field.name) == simplest
            ):
                continue
            yield from _changed_part(asked, name, **{field.name: simplest})


def _with_fewer_requests(asked: Experiment) -> Iterator[Experiment]:
    traffic = asked.traffic
    number = len(traffic.trace) if traffic.trace else traffic.requests or 0
    for fewer in sorted({number // 2, number - 1}):
        if 0 < fewer < number:
            shorter = {"trace": traffic.trace[:fewer]} if traffic.trace else {"requests": fewer}
            yield from _changed_part(asked, "traffic", **shorter)


def _default(field: Any) -> Any:  # noqa: ANN401 - of any dataclass
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _changed(asked: Experiment, **values: Any) -> Iterator[Experiment]:  # noqa: ANN401
    try:
        yield replace(asked, **values)
    except ExperimentError:
        return  # No experiment at all.


def _changed_part(asked: Experiment, name: str, **values: Any) -> Iterator[Experiment]:  # noqa: ANN401
    try:
        yield replace(asked, **{name: replace(getattr(asked, name), **values)})
    except ExperimentError:
        return
