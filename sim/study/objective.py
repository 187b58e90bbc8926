"""Objectives of a configuration: ``p99=300ms``, ``mean=80ms``, ``lost=0.1%``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from sim.errors import ExperimentError
from sim.study.observation import LATENCIES, Observation

LOST = "lost"

#: s of each unit.
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}

_SYNTAX = re.compile(r"(?P<measure>\w+)\s*(?:<=|=|<)\s*(?P<number>[^\sa-z%]+)\s*(?P<unit>[a-z%]*)")

_EXPECTED = f"expected {', '.join(LATENCIES)} and a time, as in p99=300ms, or lost=0.1%"


@dataclass(frozen=True, slots=True)
class Objective:
    """A measure that is not to exceed a limit, in the mean over replications.

    Attributes:
        measure: one of the latencies of `sim.study.observation.Observation`, or ``lost``.
        limit: s; of ``lost``, a share of the requests.
    """

    measure: str
    limit: float

    def __str__(self) -> str:
        if self.measure == LOST:
            return f"{LOST} {100 * self.limit:g} %"
        return f"{self.measure} {1000 * self.limit:g} ms"

    def of(self, observation: Observation) -> float:
        """The measure's value; infinite where there is none, as without any answer."""
        value = getattr(observation, self.measure)
        return math.inf if value is None else float(value)


def parse(text: str) -> Objective:
    """Read one objective: a measure, ``=`` or ``<``, a number with its unit.

    Raises:
        ExperimentError: when it is not understood.
    """
    match = _SYNTAX.fullmatch(text.strip())
    if match is None or match["measure"] not in (*LATENCIES, LOST):
        raise ExperimentError(f"objective {text!r} is not understood; {_EXPECTED}")
    try:
        number = float(match["number"])
    except ValueError:
        raise ExperimentError(
            f"objective {text!r}: {match['number']!r} is no number; {_EXPECTED}"
        ) from None
    if match["measure"] == LOST:
        share = number / 100 if match["unit"] == "%" else number
        if match["unit"] not in ("", "%") or not 0 <= share <= 1:
            raise ExperimentError(
                f"objective {text!r}: expected a share of the requests from 0% to 100%"
            )
        return Objective(LOST, share)
    if match["unit"] not in UNITS:
        unit = f"unit {match['unit']!r}" if match["unit"] else "no unit"
        raise ExperimentError(f"objective {text!r} has {unit}; expected us, ms or s")
    if not math.isfinite(number) or number <= 0:
        raise ExperimentError(f"objective {text!r}: expected a finite time above 0")
    return Objective(match["measure"], number * UNITS[match["unit"]])


def complete(objectives: Iterable[Objective]) -> tuple[Objective, ...]:
    """The objectives, and that no request is lost unless they say how many may be.

    The latencies are those of the requests that are answered: without a word on the others, a
    server that answers only the first ones would do.

    Raises:
        ExperimentError: when there is none, or two of one measure.
    """
    chosen = tuple(objectives)
    if not chosen:
        raise ExperimentError(f"there is no objective; {_EXPECTED}")
    measures = [objective.measure for objective in chosen]
    for measure in measures:
        if measures.count(measure) > 1:
            raise ExperimentError(f"{measure} has two objectives; expected one")
    return chosen if LOST in measures else (*chosen, Objective(LOST, 0.0))
