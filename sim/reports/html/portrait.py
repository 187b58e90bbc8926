"""What a page shows of runs and no document has: their course, and the whole distribution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sim.analysis.course import Course, course_of
from sim.analysis.latency_curve import LatencyCurve, combined_curves, curve_of
from sim.run import Run


@dataclass(frozen=True, slots=True)
class Portrait:
    """What a page shows of the replications of one experiment.

    Attributes:
        course: of the first; None where it did not keep its requests.
        curve: of all.
    """

    course: Course | None
    curve: LatencyCurve


class Sitting:
    """Looks at runs while they pass on their way to a summary.

    State: ``course``, ``curves`` (one each replication).
    """

    def __init__(self) -> None:
        self.course: Course | None = None
        self.curves: list[LatencyCurve] = []

    def passing(self, runs: Iterable[Run]) -> Iterator[Run]:
        """The same runs."""
        for run in runs:
            if not self.curves:
                self.course = course_of(run)
            self.curves.append(curve_of(run))
            yield run

    def portrait(self) -> Portrait:
        """Of all runs that have passed, at least one."""
        return Portrait(self.course, combined_curves(self.curves))


def portrait_of(runs: Iterable[Run]) -> Portrait:
    """Of all ``runs``, at least one."""
    sitting = Sitting()
    for _ in sitting.passing(runs):
        pass
    return sitting.portrait()
