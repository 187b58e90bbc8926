"""How far a validation is: a line that stays for each cell, and on a terminal one that moves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TextIO

from reference_app.client import Progress
from reference_app.progress_line import done
from sim.experiment import Experiment
from sim.validation import Result
from sim.validation_rows import Row

_ERASE = "\r\x1b[K"

#: s that a run takes besides its traffic: Gunicorn's start and end, the predictions' part.
BESIDES = 2.5


class ValidationProgress:
    """Tells ``stream`` which cell is measured, what came of each, and how long the rest will take.

    Args:
        experiments: of the cells that are to be measured, in that order.
        repeats: how often each is.
        stream: that is told; only a terminal hears of what is under way.
    """

    def __init__(self, experiments: Sequence[Experiment], repeats: int, stream: TextIO) -> None:
        self._traffics = [experiment.traffic for experiment in experiments]
        self._seconds = [planned(experiment) for experiment in experiments]
        self._repeats = repeats
        self._stream = stream
        self._began = time.monotonic()
        self._cells = 0
        self._words = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._move("")

    def begin(self, number: int, name: str) -> None:
        """The cell of that number is next."""
        self._cells += 1
        self._words = f"cell {number} ({self._cells} of {len(self._seconds)}), {name}"
        self._move(f"{self._words}: predicting")

    def run(self, repeat: int) -> Progress:
        """What the present cell's run of that number, from 0, is to tell its progress."""
        cell = self._cells - 1
        self._tell(cell, repeat, 0.0)

        def tell(answered: int, _: int, clock: float) -> None:
            self._tell(cell, repeat, done(self._traffics[cell], answered, clock))

        return tell

    def end(self, row: Row) -> None:
        """The present cell is measured."""
        mean = Result.of(row).figure("latency_mean")
        words = "no request was answered"
        if mean is not None and mean.predicted is not None and mean.measured is not None:
            words = (
                f"mean {1000 * mean.predicted:.1f} ms predicted, {1000 * mean.measured:.1f} ms "
                f"measured ({mean.error:+.1%}, spread {mean.spread:.1%})"
            )
        self._move("")
        self._stream.write(f"{self._words}: {words}\n")
        self._stream.flush()

    def _tell(self, cell: int, repeat: int, fraction: float) -> None:
        past = sum(self._seconds[:cell]) * self._repeats
        past += self._seconds[cell] * (repeat + fraction)
        rest = sum(self._seconds) * self._repeats - past
        # What is planned, until there is something to learn from.
        pace = (time.monotonic() - self._began) / past if past > BESIDES else 1.0
        self._move(
            f"run {repeat + 1} of {self._repeats} of {self._words}; about "
            f"{max(1.0, rest * pace / 60):.0f} min left"
        )

    def _move(self, words: str) -> None:
        if self._stream.isatty():
            self._stream.write(_ERASE + words)
            self._stream.flush()


def planned(experiment: Experiment) -> float:
    """How long one run of the experiment will take, s, more or less."""
    assert experiment.traffic.requests is not None, "a cell has a number of requests"
    return experiment.traffic.requests / experiment.traffic.rate + BESIDES
