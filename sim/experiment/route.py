"""Routes: the kinds of request of a service, each with its own demand.

A health check of 1 ms and a report of 3 s share queues and threads: the mean of both is the demand
of neither.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from sim.errors import ExperimentError
from sim.experiment.checks import check_choice, check_number, check_part
from sim.experiment.distribution import Distribution
from sim.experiment.endpoint import ENDPOINTS, Endpoint

#: How far the sum of all shares may be from 1: shares are written with a few digits.
ROUNDING = 1e-6

#: Most routes of an experiment.
MAX_ROUTES = 100

#: Longest name of a route, in characters.
MAX_NAME = 200


def check_name(name: str) -> None:
    """Refuse a name that is empty or too long, or in which a blank or a control character is."""
    if not name or len(name) > MAX_NAME or not name.isprintable() or " " in name:
        raise ExperimentError(
            f"route {name[:50]!r}: expected a name without blanks, such as /report, of at most "
            f"{MAX_NAME} characters"
        )


def unknown_route(name: str, known: Collection[str]) -> str:
    """What is wrong with a name that is none of the routes that there are."""
    text = f"route {name!r} is unknown; "
    if not known:
        return text + "there are no routes"
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{text}{hint}expected one of {', '.join(known)}"


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request.

    Attributes:
        name: such as ``/report``; without blanks.
        share: of all requests, above 0; the shares of all routes add up to 1.
        io: s that such a request waits, without the GIL.
        cpu: s that it computes, holding the GIL.
        endpoint: see `Traffic.endpoint`, which holds where this is None.
        blocking_io: see `Traffic.blocking_io`, which holds where this is None.
        elsewhere: whether another server gets these requests. They are drawn all the same, so that
            the requests of all other routes stay as they are.

    Raises:
        ExperimentError: when the name is no name, or the share is out of range.
    """

    name: str
    share: float
    io: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))
    cpu: Distribution = field(default_factory=lambda: Distribution("const", (0.0,)))
    elsewhere: bool = False
    endpoint: Endpoint | None = None
    blocking_io: float | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        check_number(f"route {self.name!r}: share", self.share, 0, above=True)
        if self.share > 1:
            raise ExperimentError(
                f"route {self.name!r}: share is {self.share:g}; expected a part of 1"
            )
        if self.endpoint is not None:
            check_choice(f"route {self.name!r}: endpoint", self.endpoint, ENDPOINTS)
        if self.blocking_io is not None:
            check_part(f"route {self.name!r}: blocking_io", self.blocking_io)


def check_routes(routes: Sequence[Route]) -> None:
    """Refuse routes that do not make up all requests of a server.

    Raises:
        ExperimentError: when there are too many, two of one name, shares that do not add up to 1,
            or none whose requests this server gets.
    """
    if not routes:
        return
    if len(routes) > MAX_ROUTES:
        raise ExperimentError(f"there are {len(routes)} routes; expected at most {MAX_ROUTES}")
    names = [route.name for route in routes]
    for name in names:
        if names.count(name) > 1:
            raise ExperimentError(f"route {name!r} is given twice; expected each route once")
    total = math.fsum(route.share for route in routes)
    if abs(total - 1) > ROUNDING:
        each = " + ".join(f"{route.share:g}" for route in routes)
        raise ExperimentError(f"the shares of the routes add up to {total:g} ({each}); expected 1")
    if all(route.elsewhere for route in routes):
        raise ExperimentError("every route is elsewhere; expected one that this server gets")
