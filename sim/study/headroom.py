"""How much more traffic a configuration takes before it misses its objectives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.experiment import MAX_REQUESTS, Experiment
from sim.study.parameter import Point
from sim.study.question import Judged, Question, judged
from sim.study.trial import Known

Load = Literal["rate", "users", "pace"]

#: Factors of the load that are tried until one breaks it; a row at a time, side by side.
EXPANSION = ((1.25, 1.5, 2.0), (3.0, 4.0, 8.0), (16.0, 32.0, 64.0))

#: Loads between what holds and what breaks that are tried side by side.
INSIDE = 3

#: Largest load that holds / smallest that breaks, at which they are close enough.
CLOSE = 0.98

#: Stages of the sequential test at each load; near the limit more of them would decide little.
STAGES = 3


@dataclass(frozen=True, slots=True)
class Headroom:
    """Where a configuration breaks.

    Attributes:
        load: ``rate`` (requests / s), ``users`` of a closed loop, or the ``pace`` of a trace.
        requested: the load of the experiment.
        holds: the largest load at which the objectives are met.
        breaks: the smallest at which they are not, above ``holds``; None where no load that was
            tried does it. In between it is too close to call.
        judgements: of all loads that were tried, by load.
        done: whether there is nothing left to try.
    """

    load: Load
    requested: float
    holds: float
    breaks: float | None
    judgements: tuple[tuple[float, Judged], ...]
    done: bool


def headroom(question: Question, point: Point, known: Known) -> Headroom:
    """Bisect between the requested load, at which ``point`` meets the objectives, and higher loads.

    Every load has the same random numbers: at a higher rate the same requests come at smaller
    distances, so chance does not decide between two loads.
    """
    load, requested = load_of(question.base)
    holds, breaks = requested, None
    tried: dict[float, Judged] = {}
    expansion = iter(EXPANSION)

    def result(*, done: bool) -> Headroom:
        return Headroom(
            load, requested, holds, breaks, tuple(sorted(tried.items(), key=_load)), done
        )

    while True:
        if breaks is None:
            factors = next(expansion, ())
            values = [_rounded(load, requested * factor) for factor in factors]
            values = [value for value in values if _possible(question.base, load, value)]
        elif holds / breaks > CLOSE:
            return result(done=True)
        else:
            steps = ((breaks / holds) ** (n / (INSIDE + 1)) for n in range(1, INSIDE + 1))
            values = [_rounded(load, holds * step) for step in steps]
            values = [value for value in values if holds < value < breaks]
        values = [value for value in dict.fromkeys(values) if value not in tried]
        if not values:
            return result(done=True)
        for value in values:
            loaded = (*point, (load, value))
            tried[value] = judged(question, loaded, known, question.stages[:STAGES])
        if any(tried[value].verdict.decision is None for value in values):
            return result(done=False)
        failed = [value for value, one in tried.items() if one.verdict.decision == "fails"]
        breaks = min(failed, default=None)
        holds = max(
            (
                value
                for value, one in tried.items()
                if one.verdict.decision == "meets" and (breaks is None or value < breaks)
            ),
            default=requested,
        )
        if any(holds < value < (breaks or value) for value in values):
            # One is too close to call: the limit is there.
            return result(done=True)


def load_of(base: Experiment) -> tuple[Load, float]:
    """What makes the traffic of ``base`` more, and how much of it there is."""
    match base.traffic.arrivals:
        case "closed":
            return "users", base.traffic.users
        case "trace":
            return "pace", 1.0
        case _:
            return "rate", base.traffic.rate


def _possible(base: Experiment, load: Load, value: float) -> bool:
    """Whether a load is within the limits of an experiment."""
    traffic = base.traffic
    if load == "rate" and traffic.requests is None:
        return value * traffic.duration <= MAX_REQUESTS
    return value <= 1_000_000


def _rounded(load: Load, value: float) -> float | int:
    """To numbers that people can read: four digits, and whole users."""
    return round(value) if load == "users" else float(f"{value:.4g}")


def _load(pair: tuple[float, Judged]) -> float:
    return pair[0]
