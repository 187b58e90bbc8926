"""The progress of a validation: a line for each run, and a moving one on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from reference_app.rig.client import Progress
from reference_app.rig.progress_line import ProgressLine
from reference_app.rig.run_progress import done
from sim.experiment import Experiment
from sim.validation.rows import Measurement

#: Time (s) that a run takes besides its traffic: Gunicorn's start and end, and the predictions.
BESIDES = 2.5

#: Time (s) of a calibration.
LEARNING = 110.0


class ValidationProgress:
    """Prints the present cell, the result of each run, and the progress of all on ``line``.

    Which cells are noisy, and are measured again, shows only once they are measured.
    """

    def __init__(self, line: ProgressLine) -> None:
        self._line = line
        self._total = 0.0
        self._over = 0.0
        self._pass = ""
        self._experiments: Sequence[Experiment] = ()
        self._cells = 0
        self._label = ""

    def begin_pass(
        self, number: int, passes: int, experiments: Sequence[Experiment], learnings: int
    ) -> None:
        """Measure these cells once each.

        Args:
            number: of the pass, from 1.
            passes: that there are; some cells get as many again.
            experiments: of the cells, in their order.
            learnings: number of calibrations meanwhile.
        """
        if number > passes:
            passes *= 2
        self._pass = f"run {number} of {passes}"
        self._experiments, self._cells = experiments, 0
        seconds = sum(map(planned, experiments)) + learnings * LEARNING
        self._total = self._over + (passes - number + 1) * seconds

    def learn(self, what: str, fraction: float, _: float) -> None:
        """This fraction of a calibration is over, which now measures ``what``."""
        self._tell(f"calibrating: {what}", LEARNING * fraction)

    def learnt(self) -> None:
        """The calibration is over."""
        self._over += LEARNING

    def begin(self, number: int, name: str) -> None:
        """The cell of that number is next."""
        self._cells += 1
        place = f"{self._cells} of {len(self._experiments)}"
        self._label = f"{self._pass}, cell {number} ({place}), {name}"
        self._tell(f"{self._label}: predicting", 0.0)

    def run(self) -> Progress:
        """The progress callback of the present cell's run."""
        experiment = self._experiments[self._cells - 1]
        traffic, seconds = experiment.traffic, planned(experiment)
        text = f"{self._label}: measuring"
        return lambda answered, _, clock: self._tell(text, done(traffic, answered, clock) * seconds)

    def end(self, measurement: Measurement) -> None:
        """The present cell is measured."""
        self._over += planned(self._experiments[self._cells - 1])
        means = [
            mean for values in measurement.variants if (mean := values["latency_mean"]) is not None
        ]
        measured = measurement.values["latency_mean"]
        text = "no request was answered"
        if means and measured:
            predicted = sum(means) / len(means)
            text = (
                f"mean {1000 * predicted:.1f} ms predicted, {1000 * measured:.1f} ms measured "
                f"({predicted / measured - 1:+.1%})"
            )
        self._line.stay(f"{self._label}: {text}")

    def _tell(self, text: str, seconds: float) -> None:
        """Print that ``seconds`` of the present step are over."""
        over = min(1.0, (self._over + seconds) / self._total)
        self._line.say(text, over, planned=self._total)


def planned(experiment: Experiment) -> float:
    """Expected duration of one run of the experiment, s."""
    assert experiment.traffic.requests is not None, "a cell has a number of requests"
    return experiment.traffic.requests / experiment.traffic.rate + BESIDES
