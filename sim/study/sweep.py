"""How an experiment does at every point of a space: the same requests everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from sim.experiment import Experiment
from sim.study.observation import Observation
from sim.study.parameter import Parameter, Point, at, points
from sim.study.question import observations
from sim.study.trial import Known, Trial


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep: the base experiment and its varied parameters.

    Attributes:
        base: everything that is not varied.
        parameters: what is.
        replications: at every point.
    """

    base: Experiment
    parameters: tuple[Parameter, ...]
    replications: int

    def __post_init__(self) -> None:
        """Refuse, before any work, what is out of range somewhere.

        Raises:
            ExperimentError: naming the point.
        """
        for point in points(self.parameters):
            at(self.base, point)


@dataclass(frozen=True, slots=True)
class Row:
    """One point, and its observations by replication, as far as they are known."""

    point: Point
    observations: tuple[Observation, ...]


def plan(sweep: Sweep, known: Known) -> list[Trial]:
    """What is still to be tried: all of it, every point's first replication first."""
    return [
        trial
        for replication in range(sweep.replications)
        for point in points(sweep.parameters)
        if (trial := Trial(point, replication)) not in known
    ]


def rows(sweep: Sweep, known: Known) -> tuple[Row, ...]:
    """A row for each point, in the order of the parameters' values."""
    return tuple(
        Row(point, tuple(observations(point, known)[: sweep.replications]))
        for point in points(sweep.parameters)
    )
