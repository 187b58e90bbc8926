"""How far a validation is: a line that stays for each cell, and on a terminal one that moves."""

from __future__ import annotations

from collections.abc import Sequence

from reference_app.client import Progress
from reference_app.progress_line import ProgressLine
from reference_app.run_progress import done
from sim.experiment import Experiment
from sim.validation import Result
from sim.validation_rows import Row

#: s that a run takes besides its traffic: Gunicorn's start and end, the predictions' part.
BESIDES = 2.5


class ValidationProgress:
    """Tells ``line`` which cell is measured, what came of each, and how far all is.

    Args:
        experiments: of the cells that are to be measured, in that order.
        repeats: how often each is.
        line: that passes it on.
    """

    def __init__(self, experiments: Sequence[Experiment], repeats: int, line: ProgressLine) -> None:
        self._traffics = [experiment.traffic for experiment in experiments]
        self._seconds = [planned(experiment) for experiment in experiments]
        self._repeats = repeats
        self._line = line
        self._cells = 0
        self._words = ""

    def begin(self, number: int, name: str) -> None:
        """The cell of that number is next."""
        self._cells += 1
        self._words = f"cell {number} ({self._cells} of {len(self._seconds)}), {name}"
        self._tell("predicting", 0, 0.0)

    def run(self, repeat: int) -> Progress:
        """What the present cell's run of that number, from 0, is to tell its progress."""
        traffic = self._traffics[self._cells - 1]
        words = f"run {repeat + 1} of {self._repeats}"
        self._tell(words, repeat, 0.0)
        return lambda answered, _, clock: self._tell(words, repeat, done(traffic, answered, clock))

    def end(self, row: Row) -> None:
        """The present cell is measured."""
        mean = Result.of(row).figure("latency_mean")
        words = "no request was answered"
        if mean is not None and mean.predicted is not None and mean.measured is not None:
            words = (
                f"mean {1000 * mean.predicted:.1f} ms predicted, {1000 * mean.measured:.1f} ms "
                f"measured ({mean.error:+.1%}, spread {mean.spread:.1%})"
            )
        self._line.stay(f"{self._words}: {words}")

    def _tell(self, words: str, repeat: int, fraction: float) -> None:
        cell = self._cells - 1
        total = sum(self._seconds) * self._repeats
        over = sum(self._seconds[:cell]) * self._repeats
        over += self._seconds[cell] * (repeat + fraction)
        self._line.say(f"{self._words}: {words}", over / total, planned=total)


def planned(experiment: Experiment) -> float:
    """How long one run of the experiment will take, s, more or less."""
    assert experiment.traffic.requests is not None, "a cell has a number of requests"
    return experiment.traffic.requests / experiment.traffic.rate + BESIDES
