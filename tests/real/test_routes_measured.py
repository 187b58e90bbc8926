"""Holds a mix of routes against the real server, each route by itself, on the same requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import traffic_looks
from looks import RUNS, Exhibit, Looks
from rank_test import Criterion, Statistics
from route_mix import MIX

from sim.run import Run


def of_route(run: Run, route: str) -> Run:
    """The run with the requests of one route only."""
    requests = run.requests
    place = requests.routes.index(route)
    others = {row for row, code in enumerate(requests.route) if code != place}
    return replace(run, requests=requests.without(others))


def criteria(context: Sequence[Run]) -> Criterion[Run]:
    """What `traffic_looks` judges of a run, of each route by itself."""
    names = MIX.traffic.route_names
    each = {
        name: traffic_looks.criteria([of_route(run, name) for run in context]) for name in names
    }

    def statistics(run: Run) -> Statistics:
        counts: Counter[str] = Counter()
        values: dict[str, float] = {}
        for name, criterion in each.items():
            found = criterion.statistics(of_route(run, name))
            counts.update({f"{name} {what}": number for what, number in found.counts.items()})
            values |= {f"{name} {what}": value for what, value in found.values.items()}
        return Statistics(counts, values)

    def tolerance(what: str, predicted: float) -> float:
        name, _, statistic = what.partition(" ")
        return each[name].tolerance(statistic, predicted)

    return Criterion(statistics, tolerance)


EXHIBIT = Exhibit(RUNS, {"mix": MIX}, lambda _: criteria)


def test_each_route_is_as_predicted(looks: Looks[Run]) -> None:
    assert looks.differs("mix") is None
