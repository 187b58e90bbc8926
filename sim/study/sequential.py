"""Sequential test whether a configuration meets its objectives, with few replications.

The test has stages, of 3, 6, 12, 24, ... replications. At each stage Student's t gives, for each
objective, bounds of its measure's mean. All bounds below their limits: the objectives are met. One
bound above its limit: they are not. Otherwise the next stage needs more replications. After the
last stage the configuration is too close to call.

Each stage can be wrong. Together they are wrong with a probability of at most 1 - `CONFIDENCE`
(Bonferroni: each stage gets its part of that), as far as the replications' values are normal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sim.analysis.estimate import CONFIDENCE
from sim.analysis.theory import student_t_probability, student_t_quantile
from sim.study.objective import Objective
from sim.study.observation import Observation

#: Replications of the first stage: the fewest of which a variance says anything.
FIRST_STAGE = 3

Decision = Literal["meets", "fails", "close"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of replications on the objectives.

    Attributes:
        decision: ``meets``, ``fails``, ``close`` (too close to call after all stages), or None
            while there are too few.
        replications: number that it rests on.
        needed: number of replications of the next stage; ``replications`` once decided.
        confidence: that all objectives are met, judged by these replications alone, from 0 to 1;
            None with fewer than two.
    """

    decision: Decision | None
    replications: int
    needed: int
    confidence: float | None


def stages(most: int) -> tuple[int, ...]:
    """Numbers of replications of all stages, up to ``most``."""
    numbers = []
    number = FIRST_STAGE
    while number < most:
        numbers.append(number)
        number *= 2
    return (*numbers, most)


def judge(
    observations: Sequence[Observation], objectives: Sequence[Objective], at: Sequence[int]
) -> Verdict:
    """The verdict of the first stage that decides.

    Args:
        observations: of replications 0, 1, ... as far as they are known without a gap. Those
            after the stage that decides are not used, so that they do not change the answer.
        objectives: at least one.
        at: replications of the stages, rising, each at least 2.
    """
    confidence = 1 - (1 - CONFIDENCE) / len(at)
    for number in at:
        if len(observations) < number:
            return Verdict(None, len(observations), number, _confidence(observations, objectives))
        observed = observations[:number]
        bounds = [_bounds([o.of(s) for s in observed], confidence) for o in objectives]
        sure = _confidence(observed, objectives)
        pairs = list(zip(bounds, objectives, strict=True))
        if all(high <= objective.limit for (_, high), objective in pairs):
            return Verdict("meets", number, number, sure)
        if any(low > objective.limit for (low, _), objective in pairs):
            return Verdict("fails", number, number, sure)
    return Verdict("close", at[-1], at[-1], _confidence(observations[: at[-1]], objectives))


def _bounds(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """One-sided bounds of the values' mean, each with that ``confidence``."""
    mean, error = _mean_and_error(values)
    if not error:
        return mean, mean
    t = student_t_quantile(confidence, len(values) - 1)
    return mean - t * error, mean + t * error


def _confidence(
    observations: Sequence[Observation], objectives: Sequence[Objective]
) -> float | None:
    if len(observations) < 2:
        return None
    each = []
    for objective in objectives:
        mean, error = _mean_and_error([objective.of(observation) for observation in observations])
        if not error:
            each.append(1.0 if mean <= objective.limit else 0.0)
        else:
            t = (objective.limit - mean) / error
            each.append(student_t_probability(t, len(observations) - 1))
    return min(each)


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error; no error where a value is infinite."""
    count = len(values)
    mean = math.fsum(values) / count
    if math.isinf(mean):
        return mean, 0.0
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return mean, math.sqrt(variance / count)
