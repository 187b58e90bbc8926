"""How far apart two experiments are that get the same requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sim.analysis.estimate import Estimate
from sim.study.observation import (
    DISTURBED,
    OF_ROUTES,
    UNITS,
    Observation,
    difference,
    estimate,
    measure_of,
    routes_in,
)
from sim.study.parameter import Point
from sim.study.question import observations
from sim.study.trial import Known, Trial

Finding = Literal["lower", "higher", "same", "not shown"]
Verdict = Literal["A", "B", "mixed", "same", "not shown"]

#: Of one experiment each.
SIDES: tuple[Point, Point] = ((("side", "A"),), (("side", "B"),))

#: What decides which one is better: lower is. See `Contrast.decisive`.
DECISIVE = ("mean", "p99", "lost")


@dataclass(frozen=True, slots=True)
class Contrast:
    """One measure on both sides.

    Attributes:
        measure: of `sim.study.observation.Observation`.
        a: its mean over the replications of A; None where one has no number for it.
        b: the same of B.
        less: B less A, replication by replication; its interval is narrower than those of the two
            sides, because both have the same requests.
        decisive: whether it is one of those that decide which side is better.
        finding: whether B is ``lower`` or ``higher``, to 95 %; ``same`` in every replication;
            ``not shown`` where the interval has 0 in it; None without ``less``.
    """

    measure: str
    a: Estimate | None
    b: Estimate | None
    less: Estimate | None
    finding: Finding | None
    decisive: bool = False


def plan(replications: int, known: Known) -> list[Trial]:
    """What is still to be tried: all of it, both sides by turns."""
    return [
        trial
        for replication in range(replications)
        for side in SIDES
        if (trial := Trial(side, replication)) not in known
    ]


def contrasts(replications: int, known: Known) -> tuple[Contrast, ...]:
    """Every measure, over the replications that are known of both sides."""
    a, b = (observations(side, known)[:replications] for side in SIDES)
    both = min(len(a), len(b))
    a, b = a[:both], b[:both]
    disturbed = any(observation.gone is not None for observation in (*a, *b))
    measures = [measure for measure in UNITS if disturbed or measure not in DISTURBED]
    measures += [measure_of(r, name) for r in routes_in((*a, *b)) for name in OF_ROUTES]
    decisive = _decisive(routes_in(a), routes_in(b))
    return tuple(contrast(measure, a, b, decisive=measure in decisive) for measure in measures)


def _decisive(a: Sequence[str], b: Sequence[str]) -> tuple[str, ...]:
    """What decides: of the requests of both sides, where one has routes that the other has not."""
    both = [route for route in a if route in b]
    if not both or set(a) == set(b):
        return DECISIVE
    return tuple(measure_of(route, measure) for route in both for measure in DECISIVE)


def verdict(measures: Sequence[Contrast]) -> Verdict | None:
    """Which side is better in all decisive measures in which they differ; None if one is not known.

    A side without a number for a latency, because nothing is answered, is worse there.
    """
    better: set[str] = set()
    same = True
    for contrast in measures:
        if not contrast.decisive:
            continue
        if (contrast.a is None) != (contrast.b is None):
            better.add("B" if contrast.a is None else "A")
        elif contrast.finding in ("lower", "higher"):
            better.add("B" if contrast.finding == "lower" else "A")
        elif contrast.finding is None:
            return None
        same = same and contrast.finding == "same"
    if not better:
        return "same" if same else "not shown"
    if len(better) > 1:
        return "mixed"
    return "A" if "A" in better else "B"


def contrast(
    measure: str, a: Sequence[Observation], b: Sequence[Observation], *, decisive: bool = False
) -> Contrast:
    """One measure of two servers, replication by replication."""
    less = difference(b, a, measure)
    return Contrast(
        measure, estimate(a, measure), estimate(b, measure), less, _finding(less), decisive
    )


def _finding(less: Estimate | None) -> Finding | None:
    if less is None:
        return None
    if less.low is None or less.high is None or less.low <= 0 <= less.high:
        return "same" if less.value == less.low == less.high == 0 else "not shown"
    return "lower" if less.high < 0 else "higher"
