"""Experiments predicted and measured, and looked at again where a measurement surprises.

A measurement is judged by `rank_test`, which says how often it raises a false alarm.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Generic, TypeVar

from host_costs import HostCosts, drawn
from predictions import CONTEXT, Predict, predicted_run, predictions
from rank_test import LOOKS, Criterion, RankTest, Seen

from reference_app.rig.address import HOST
from reference_app.rig.measure import measure
from sim.experiment import Experiment
from sim.experiment.costs import Costs
from sim.run import Run
from sim.study.check.scenario import length

Name = TypeVar("Name")

#: What is judged of what is seen, given some predictions that are not judged themselves.
Criteria = Callable[[Sequence[Seen]], Criterion[Seen]]


@dataclass(frozen=True)
class Sides(Generic[Seen]):
    """How to predict and how to measure an experiment.

    Attributes:
        predict: see `in_processes` for what it may be.
        measure: the same of the real server.
    """

    predict: Predict[Seen]
    measure: Callable[[Experiment], Seen]


@dataclass(frozen=True)
class Exhibit(Generic[Seen]):
    """What a module of tests looks at, and judges by `rank_test`.

    Attributes:
        sides: what is seen of an experiment, on either side.
        experiments: by name.
        calibrated: whether they are predicted with the costs of this machine, or the defaults.
    """

    sides: Sides[Seen]
    experiments: Mapping[str, Experiment]
    calibrated: bool = False


@dataclass(frozen=True)
class Measurements(Generic[Name, Seen]):
    """What a module of tests measures, and judges itself.

    Attributes:
        measure: what is seen of an experiment.
        experiments: by name.
        before: what computes before anything is measured.
    """

    measure: Callable[[Experiment], Seen]
    experiments: Mapping[Name, Experiment]
    before: Callable[[], object] = lambda: None


class Measured(Generic[Name, Seen]):
    """Every experiment measured once, beside those of other modules.

    Args:
        measure: what is seen of an experiment.
        experiments: by name; they are measured by `looks_together`.
    """

    def __init__(
        self, measure: Callable[[Experiment], Seen], experiments: Mapping[Name, Experiment]
    ) -> None:
        self._measure = measure
        self.experiments = experiments
        self._measured: dict[Name, Future[Seen]] = {}
        # Of all that are measured together.
        self._busy: Sequence[Future[object]] = ()

    def begin(self, name: Name, pool: ThreadPoolExecutor) -> Future[Seen]:
        """Measure an experiment as soon as the pool can."""
        self._measured[name] = pool.submit(self._now, name)
        return self._measured[name]

    def alone_after(self, busy: Sequence[Future[object]]) -> None:
        """Measure nothing alone before these are over."""
        self._busy = busy

    def wait(self) -> None:
        """Until nothing is measured any more that is not alone."""
        wait(self._busy)

    def __getitem__(self, name: Name) -> Seen:
        return self._measured[name].result()

    def _now(self, name: Name) -> Seen:
        _forget_round_trips()
        return self._measure(self.experiments[name])


class Looks(Measured[str, Seen]):
    """Every experiment predicted and measured; one that surprises is looked at again, alone.

    Args:
        sides: what is seen of an experiment, on either side.
        experiments: by name; they are predicted at once, and measured by `looks_together`.
        costs: of this machine; None for the defaults.
    """

    def __init__(
        self,
        sides: Sides[Seen],
        experiments: Mapping[str, Experiment],
        costs: HostCosts | None,
    ) -> None:
        super().__init__(sides.measure, experiments)
        self._predict = sides.predict
        self._costs = costs
        known = Costs() if costs is None else costs.measured
        self._predicted = predictions(sides.predict, experiments, partial(drawn, [known]))
        self._again = cache(self._looked_at_again)

    def differs(self, name: str, criteria: Criteria[Seen]) -> str | None:
        """What every one of `LOOKS` looks finds to be other than predicted; None: nothing."""
        complaints = []
        for number in range(LOOKS):
            predicted, measured = (
                self._again(name, number) if number else (self._predicted[name], self[name])
            )
            criterion = criteria(predicted[:CONTEXT])
            judged = [criterion.statistics(run) for run in predicted[CONTEXT:]]
            test = RankTest(judged, criterion.tolerance)
            complaint = test.complaint(criterion.statistics(measured))
            if complaint is None:
                return None
            complaints.append(complaint)
        return "\n".join(complaints)

    def _looked_at_again(self, name: str, number: int) -> tuple[list[Seen], Seen]:
        """With the costs of this moment, just before and just after, and the machine to itself.

        Args:
            name: of the experiment.
            number: of the look; each has a measurement of its own.
        """
        del number  # tells the cache one look from another
        self.wait()
        if self._costs is None:
            return self._predicted[name], self._now(name)
        costs, measured = self._costs.around(lambda: self._now(name))
        once = {name: self.experiments[name]}
        return predictions(self._predict, once, partial(drawn, costs))[name], measured


def measured_run(experiment: Experiment) -> Run:
    """The first replication, measured."""
    return measure(experiment, 0, lambda *_: None)


#: Runs of either side.
RUNS = Sides(predicted_run, measured_run)


def _longest(experiment: Experiment) -> float:
    """Orders experiments by the s that they can take, from the most to the least."""
    return -(length(experiment) + experiment.traffic.drain)


def _forget_round_trips() -> None:
    """Let the kernel forget what earlier connections took, where we may and can.

    It has the server's side of a handshake that took seconds for a long round trip, and the next
    client on this host would wait for as long before it sends a lost request again.
    """
    if ip := shutil.which("ip"):
        subprocess.run([ip, "tcp_metrics", "flush", HOST], check=False, capture_output=True)


@contextmanager
def looks_together(several: Sequence[Measured[Any, Any]], at_once: int) -> Iterator[None]:
    """Begin to measure all experiments of ``several``, ``at_once`` at a time.

    They have been predicted by then, on all cores: later that would disturb what is measured.
    """
    # The longest first, or one would be measured alone at the end.
    order = sorted(
        ((each, name) for each in several for name in each.experiments),
        key=lambda it: _longest(it[0].experiments[it[1]]),
    )
    with ThreadPoolExecutor(at_once) as pool:
        busy = [each.begin(name, pool) for each, name in order]
        for each in several:
            each.alone_after(busy)
        yield
        pool.shutdown(cancel_futures=True)


@contextmanager
def looks_at(
    sides: Sides[Seen],
    experiments: Mapping[str, Experiment],
    at_once: int,
    costs: HostCosts | None = None,
) -> Iterator[Looks[Seen]]:
    """Begin to measure all ``experiments``, ``at_once`` at a time."""
    looks = Looks(sides, experiments, costs)
    with looks_together([looks], at_once):
        yield looks
