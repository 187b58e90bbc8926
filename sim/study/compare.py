"""How far apart two experiments are that get the same requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sim.analysis.estimate import Estimate
from sim.study.observation import DISTURBED, UNITS, Observation, difference, estimate
from sim.study.parameter import Point
from sim.study.question import observations
from sim.study.trial import Known, Trial

Finding = Literal["lower", "higher", "same", "not shown"]
Verdict = Literal["A", "B", "mixed", "same", "not shown"]

#: Of one experiment each.
SIDES: tuple[Point, Point] = ((("side", "A"),), (("side", "B"),))

#: What decides which one is better: lower is.
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
        finding: whether B is ``lower`` or ``higher``, to 95 %; ``same`` in every replication;
            ``not shown`` where the interval has 0 in it; None without ``less``.
    """

    measure: str
    a: Estimate | None
    b: Estimate | None
    less: Estimate | None
    finding: Finding | None


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
    return tuple(contrast(measure, a, b) for measure in measures)


def verdict(measures: Sequence[Contrast]) -> Verdict | None:
    """Which side is better in all of `DECISIVE` in which they differ; None if one is not known.

    A side without a number for a latency, because nothing is answered, is worse there.
    """
    better: set[str] = set()
    same = True
    for contrast in measures:
        if contrast.measure not in DECISIVE:
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


def contrast(measure: str, a: Sequence[Observation], b: Sequence[Observation]) -> Contrast:
    """One measure of two servers, replication by replication."""
    less = difference(b, a, measure)
    return Contrast(measure, estimate(a, measure), estimate(b, measure), less, _finding(less))


def _finding(less: Estimate | None) -> Finding | None:
    if less is None:
        return None
    if less.low is None or less.high is None or less.low <= 0 <= less.high:
        return "same" if less.value == less.low == less.high == 0 else "not shown"
    return "lower" if less.high < 0 else "higher"
