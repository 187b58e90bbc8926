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
    middle = _middle(base)
    return None if middle is None else (*point, (KILL, middle))


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
    middle = _middle(base)
    if not observed or middle is None:
        return None
    return Death(
        at=middle,
        replications=len(observed),
        restored=_median(observed, "restored"),
        drained=_median(observed, "drained"),
        meanwhile=_median(observed, "meanwhile"),
        lost=fmean(each.gone or 0.0 for each in observed),
        late=fmean(each.late or 0.0 for each in observed),
    )


def _median(observed: Sequence[Observation], measure: str) -> float | None:
    values = (value_in(each, measure) for each in observed)
    middle = median(math.inf if value is None else value for value in values)
    return None if math.isinf(middle) else middle


def _middle(base: Experiment) -> float | None:
    """Half of the time over which requests come, s."""
    traffic = base.traffic
    if traffic.arrivals == "trace":
        return float(f"{traffic.trace[-1].arrival_s / 2:.4g}")
    if traffic.requests is None:
        return traffic.duration / 2
    if traffic.arrivals == "closed":
        return None
    return float(f"{traffic.requests / traffic.rate / 2:.4g}")
