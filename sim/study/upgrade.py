"""What another release does with the same configuration where something goes wrong.

Pure, as `sim.study.compare` is, which has the sides and the measures without trouble.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.analysis.estimate import Estimate
from sim.experiment import Experiment
from sim.study.compare import SIDES
from sim.study.death import median_of
from sim.study.observation import Observation, estimate
from sim.study.parameter import Point
from sim.study.question import observations
from sim.study.trial import Known, Trial
from sim.study.troubles import STOP, TROUBLE, TROUBLES, last_arrival

#: Replications of each trouble, at most.
REPLICATIONS = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """What a trouble costs one side.

    Attributes:
        lost: requests without an answer, on average. What a stopped server refuses is not counted.
        late: requests that waited much longer than before, on average.
        restored: s until all threads could serve again, the median; None is never.
    """

    lost: Estimate
    late: Estimate | None
    restored: float | None


@dataclass(frozen=True, slots=True)
class Troubled:
    """What one of `sim.study.troubles.TROUBLES` costs both sides, on the same requests.

    Attributes:
        name: of the trouble.
        replications: runs of each side.
        a: what it costs A.
        b: the same of B.
    """

    name: str
    replications: int
    a: Cost
    b: Cost


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What changes beside the measures of `sim.study.compare`.

    Attributes:
        busiest: of A and of B, the largest share of the requests that one worker ran; None where
            none was.
        troubled: by trouble.
    """

    busiest: tuple[Estimate | None, Estimate | None]
    troubled: tuple[Troubled, ...]


def is_upgrade(a: Experiment, b: Experiment) -> bool:
    """Whether A and B are two releases, and nothing goes wrong with either as it is."""
    return a.server.gunicorn != b.server.gunicorn and not (
        a.disturbances or b.disturbances or None in (last_arrival(a), last_arrival(b))
    )


def plan(replications: int, known: Known) -> list[Trial]:
    """What is still to be tried, both sides by turns."""
    return [
        trial
        for replication in range(min(replications, REPLICATIONS))
        for name in TROUBLES
        for side in SIDES
        if (trial := Trial(_point(side, name), replication)) not in known
    ]


def conclude(replications: int, known: Known) -> Upgrade:
    """What is known of both sides."""
    a, b = (observations(side, known)[:replications] for side in SIDES)
    both = min(len(a), len(b))
    return Upgrade(
        (estimate(a[:both], "busiest"), estimate(b[:both], "busiest")),
        tuple(
            one for name in TROUBLES if (one := _troubled(name, replications, known)) is not None
        ),
    )


def _point(side: Point, name: str) -> Point:
    return (*side, (TROUBLE, name))


def _troubled(name: str, replications: int, known: Known) -> Troubled | None:
    a, b = (observations(_point(side, name), known) for side in SIDES)
    both = min(len(a), len(b), replications, REPLICATIONS)
    return Troubled(name, both, _cost(a[:both], name), _cost(b[:both], name)) if both else None


def _cost(observed: Sequence[Observation], name: str) -> Cost:
    lost = [
        (each.gone or 0.0) - ((each.refused or 0.0) if name == STOP else 0.0) for each in observed
    ]
    return Cost(Estimate.of(lost), estimate(observed, "late"), median_of(observed, "restored"))
