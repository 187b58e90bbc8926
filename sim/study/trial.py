"""One prediction of a study, as any process of any machine can make it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import lru_cache
from typing import NamedTuple

from sim.experiment import Experiment
from sim.model.simulation import predict
from sim.study.observation import Observation, observe
from sim.study.parameter import Point, at


class Trial(NamedTuple):
    """One replication at one point.

    Attributes:
        point: where in the study's space.
        replication: as in `sim.model.simulation.predict`; the same one brings the same arrivals
            and demands to every point (common random numbers).
    """

    point: Point
    replication: int


#: What a study knows.
Known = dict[Trial, Observation]


def submitter(executor: Executor, base: Experiment) -> Callable[[Trial], Future[Observation]]:
    """A function that has ``executor`` predict a trial around ``base``."""
    # Once for all trials: a trace of a million requests takes seconds to pickle.
    pickled = pickle.dumps(base)

    def submit(trial: Trial) -> Future[Observation]:
        return executor.submit(make, pickled, trial)

    return submit


def make(pickled: bytes, trial: Trial) -> Observation:
    """Predict the ``trial`` around a pickled experiment.

    Raises:
        ExperimentError: when a value of its point is out of range.
    """
    return observe(predict(at(_base(pickled), trial.point), trial.replication))


@lru_cache(maxsize=2)
def _base(pickled: bytes) -> Experiment:
    base: Experiment = pickle.loads(pickled)  # noqa: S301 - from our own command
    return base
