"""What becomes of a configuration when one of its workers is killed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from sim.experiment import Experiment
from sim.study.observation import Observation, value_in
from sim.study.parameter import KILL, Point
from sim.study.question import observations
from sim.study.trial import Known, Trial
from sim.study.troubles import middle

#: Replications, at most.
REPLICATIONS = 10


@dataclass(frozen=True, slots=True)
class Death:
    """The cost of SIGKILL to worker 1 in the middle of the traffic.

    Times are medians over the replications and counts are means, as in `sim.analysis.recovery`;
    None is never.

    Attributes:
        at: when, s since the start of the run.
        replications: number of runs.
        restored: s until all threads could serve again.
        drained: s until the queue was empty.
        meanwhile: see `sim.study.observation.Observation`, s.
        lost: requests without an answer.
        late: requests that waited much longer than before.
    """

    at: float
    replications: int
    restored: float | None
    drained: float | None
    meanwhile: float | None
    lost: float
    late: float


def death_point(base: Experiment, point: Point) -> Point | None:
    """The ``point`` with a worker's death; None where nobody knows when the middle will be."""
    when = middle(base)
    return None if when is None else (*point, (KILL, when))


def death_trials(base: Experiment, point: Point, known: Known, most: int) -> list[Trial]:
    """What is still to be tried for `death`."""
    killed = death_point(base, point)
    if killed is None:
        return []
    each = (Trial(killed, replication) for replication in range(min(most, REPLICATIONS)))
    return [trial for trial in each if trial not in known]


def death(base: Experiment, point: Point, known: Known) -> Death | None:
    """What is known of a worker's death; None where nothing is."""
    killed = death_point(base, point)
    observed = [] if killed is None else observations(killed, known)[:REPLICATIONS]
    when = middle(base)
    if not observed or when is None:
        return None
    return Death(
        at=when,
        replications=len(observed),
        restored=median_of(observed, "restored"),
        drained=median_of(observed, "drained"),
        meanwhile=median_of(observed, "meanwhile"),
        lost=fmean(each.gone or 0.0 for each in observed),
        late=fmean(each.late or 0.0 for each in observed),
    )


def median_of(observed: Sequence[Observation], measure: str) -> float | None:
    """The median of a time, s; None where half of the observations or more have none."""
    values = (value_in(each, measure) for each in observed)
    in_middle = median(math.inf if value is None else value for value in values)
    return None if math.isinf(in_middle) else in_middle
