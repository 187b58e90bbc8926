"""The answer of `backtest`: a past, its prediction, and what is said about both."""

from __future__ import annotations

from dataclasses import dataclass

from sim.experiment import Experiment
from sim.study.backtest.judgement import Judgement
from sim.study.backtest.past import Past


@dataclass(frozen=True, slots=True)
class Answer:
    """What a report and a document show.

    Attributes:
        experiment: the server that was predicted; its trace is a placeholder.
        past: the halves of the log.
        judgement: the prediction beside the log.
        advice: what would make it better, in sentences.
        notices: what was assumed, and what was left out.
        replications: predicted runs.
        seconds: length of an interval, s.
        learnt: requests that demand was taken from.
        recorded: whether they were recorded with their CPU.
    """

    experiment: Experiment
    past: Past
    judgement: Judgement
    advice: tuple[str, ...]
    notices: tuple[str, ...]
    replications: int
    seconds: float
    learnt: int
    recorded: bool

    @property
    def gunicorn(self) -> str:
        """The release that was predicted."""
        return self.experiment.server.gunicorn
