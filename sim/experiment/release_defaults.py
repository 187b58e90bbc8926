"""The default costs of each release of Gunicorn."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from sim.experiment.costs import Costs
from sim.experiment.default_costs import RELEASES
from sim.experiment.release import KNOWN


def alike_since(number: str) -> str:
    """The first release whose default costs are those of release ``number``."""
    place = KNOWN.index(number)
    return next(since for since in reversed(RELEASES) if KNOWN.index(since) <= place)


@cache
def default_costs(number: str) -> Costs:
    """The default costs of release ``number``: those of the newest, times what differs there."""
    return _costs_since(alike_since(number))


@cache
def _costs_since(since: str) -> Costs:
    newest = Costs()
    times = RELEASES[since]
    return replace(newest, **{name: part * getattr(newest, name) for name, part in times.items()})


def are_default(costs: Costs) -> bool:
    """Whether ``costs`` are the defaults of any release."""
    return any(costs is known or costs == known for known in map(_costs_since, RELEASES))
