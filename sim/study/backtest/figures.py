"""The figures of requests, logged or predicted, from what two logs say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.study.backtest.served import (
    Interval,
    OfRoute,
    Served,
    busy,
    by_route,
    intervals,
    length,
    shares,
    throughput,
    times_of,
)

#: What a figure is of: the request time that Gunicorn logs, and the time that a proxy waits.
SERVED, PASSED = "request time", "upstream time"

#: Figures that are no time of one log.
WAIT, THROUGHPUT, BUSY, SHARE = "mean wait", "throughput", "busy threads", "share of worker"

#: The figure of `BUSY` where only a proxy's log is known.
INSIDE = "requests at Gunicorn"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run, or the log, comes to.

    Attributes:
        values: by figure; None is not known.
        intervals: by time.
        routes: by name.
    """

    values: Mapping[str, float | None]
    intervals: tuple[Interval, ...]
    routes: Mapping[str, OfRoute]


def figures_of(
    served: Served | None, passed: Served | None, begin: float, end: float, workers: int
) -> Figures:
    """The figures of requests that began from ``begin`` to ``end``, s.

    Args:
        served: as Gunicorn logs them; None where its log is not there.
        passed: as a proxy logs them; None where its log is not there. One of both is.
        begin: of the judged time.
        end: of the judged time.
        workers: whose shares are compared; 0 for none.
    """
    values: dict[str, float | None] = {}
    for name, view in ((PASSED, passed), (SERVED, served)):
        if view is not None:
            values.update({f"{name} {what}": value for what, value in times_of(view).items()})
    if served is not None and passed is not None:
        outer, inner = values[f"{PASSED} mean"], values[f"{SERVED} mean"]
        values[WAIT] = None if outer is None or inner is None else outer - inner
    main = served if passed is None else passed
    assert main is not None, "one log is there"
    values[THROUGHPUT] = throughput(main, begin, end)
    values[BUSY if served is not None else INSIDE] = busy(served or main, begin, end)
    if served is not None and workers > 1:
        each = shares(served)
        for place in range(workers):
            share = each[place] if place < len(each) else 0.0
            values[f"{SHARE} {place + 1}"] = share if each else None
    return Figures(
        values,
        tuple(intervals(main, begin, end, length(end - begin))),
        by_route(main),
    )
