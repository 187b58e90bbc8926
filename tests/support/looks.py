"""Experiments predicted and measured, and looked at again where a measurement surprises.

A measurement is judged by `rank_test`, which says how often it raises a false alarm.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import zip_longest
from threading import Lock
from typing import Any, Generic, TypeVar

import psutil
from host_costs import HostCosts, drawn
from predictions import CONTEXT, Predict, predicted_run, predictions
from rank_test import LOOKS, Criterion, RankTest, Seen

from reference_app.rig.measure import measure
from sim.experiment import Experiment
from sim.experiment.costs import Costs
from sim.run import Run
from sim.study.check.scenario import length

Name = TypeVar("Name")

#: What is measured: an experiment, or what else there is a function for.
Subject = TypeVar("Subject")

#: Longest time (s) for which a thread that judges keeps Python from those that measure. One judges
#: at a time.
SWITCH_INTERVAL = 0.0005
_judging = Lock()

#: Time (s) between the starts of two servers. A start computes for about as long on one core.
START = 0.4


class _Starts:
    """Keeps the starts of servers apart, in the order in which they come."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Until it is this server's turn."""
        with self._lock:
            begin = max(time.monotonic(), self._next)
            self._next = begin + START
        time.sleep(max(0.0, begin - time.monotonic()))


_starts = _Starts()

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
        criteria: what is judged of the experiment with a name.
        calibrated: whether they are predicted with the costs of this machine, or the defaults.
    """

    sides: Sides[Seen]
    experiments: Mapping[str, Experiment]
    criteria: Callable[[str], Criteria[Seen]]
    calibrated: bool = False


def longest(experiment: Experiment) -> float:
    """Time (s) that measuring an experiment can take, besides starting and ending its server."""
    return length(experiment) + experiment.traffic.drain


@dataclass(frozen=True)
class Measurements(Generic[Name, Subject, Seen]):
    """What a module of tests measures, and judges itself.

    Attributes:
        measure: what is seen of a subject.
        subjects: what is measured, by name: mostly experiments.
        before: what computes before anything is measured.
        few: whether it is judged by hundredths of a second, so that few servers may run beside.
        seconds: that measuring a subject can take.
        surprises: whether a subject, given its name, is to be measured again beside few others,
            because of what is seen of it.
    """

    measure: Callable[[Subject], Seen]
    subjects: Mapping[Name, Subject]
    before: Callable[[], object] = lambda: None
    few: bool = False
    seconds: Callable[[Any], float] = longest
    surprises: Callable[[Any, Any], bool] = lambda *_: False


class Measured(Generic[Name, Seen]):
    """Every subject measured once, beside those of other modules.

    Args:
        measurements: what is measured by `looks_together`.
    """

    def __init__(self, measurements: Measurements[Name, Any, Seen]) -> None:
        self._measurements = measurements
        self._measured: dict[Name, Future[Seen]] = {}
        self._again: dict[Name, Future[Seen]] = {}
        # All that are measured together, and the processes that there were before.
        self._busy: Sequence[Future[Any]] = ()
        self._before: set[psutil.Process] = set()

    @property
    def few(self) -> bool:
        """Whether few servers may run beside."""
        return self._measurements.few

    def longest(self) -> list[tuple[float, Name]]:
        """Every subject by name, and how long (s) it can take."""
        known = self._measurements
        return [(known.seconds(subject), name) for name, subject in known.subjects.items()]

    @property
    def names(self) -> list[Name]:
        """Of the subjects."""
        return [*self._measurements.subjects]

    def begin(
        self, name: Name, pool: ThreadPoolExecutor, before: Sequence[Future[Any]]
    ) -> Future[Seen]:
        """Measure a subject as soon as the pool can, and what was begun ``before`` is over."""

        def measure() -> Seen:
            _until_over(before)
            _starts.wait()
            return self._now(name)

        self._measured[name] = pool.submit(measure)
        return self._measured[name]

    def begin_again(
        self, pool: ThreadPoolExecutor, before: Sequence[Future[Any]]
    ) -> list[Future[Any]]:
        """Measure again what surprises, when what was begun ``before`` is over."""

        def measure(name: Name, first: Future[Seen]) -> Seen:
            _until_over(before)
            seen = first.result()
            return self._now(name) if self._measurements.surprises(name, seen) else seen

        self._again = {
            name: pool.submit(measure, name, first) for name, first in self._measured.items()
        }
        return [*self._again.values()]

    def alone_after(self, busy: Sequence[Future[Any]], before: set[psutil.Process]) -> None:
        """Measure nothing alone before these are over; ``before`` they began were processes."""
        self._busy, self._before = busy, before

    def wait(self) -> None:
        """Until nothing is measured any more that is not alone."""
        _until_over(self._busy)

    def left_over(self) -> list[list[str]]:
        """Commands that were started to measure all these, and run on."""
        self.wait()
        new = [it for it in psutil.Process().children(recursive=True) if it not in self._before]
        # Python's own for predictions live as long as this process.
        return [it.cmdline() for it in new if "multiprocessing" not in " ".join(it.cmdline())]

    def __getitem__(self, name: Name) -> Seen:
        """What is seen of a subject, the last time that it was measured together."""
        return (self._again.get(name) or self._measured[name]).result()

    def _now(self, name: Name) -> Seen:
        return self._measurements.measure(self._measurements.subjects[name])


def _until_over(futures: Sequence[Future[Any]]) -> None:
    """Wait until each is over, or cancelled."""
    for future in futures:
        with suppress(CancelledError):
            future.exception()


class Looks(Measured[str, Seen]):
    """Every experiment predicted and measured; those that surprise are looked at again.

    The first look is beside many others. Where it surprises, up to `LOOKS` more follow: the first
    of them beside few others, and each further one alone, with the costs of the moment.

    Args:
        exhibit: its experiments are predicted at once, and measured by `looks_together`.
        costs: of this machine; None for the defaults.
    """

    def __init__(self, exhibit: Exhibit[Seen], costs: HostCosts | None) -> None:
        super().__init__(Measurements(exhibit.sides.measure, exhibit.experiments))
        self._exhibit = exhibit
        self._costs = costs
        known = Costs() if costs is None else costs.measured
        self._predicted = self._predictions([*exhibit.experiments], [known])
        self._first: dict[str, str | None] = {}
        self._second: dict[str, Future[str | None]] = {}
        self._alone = cache(self._looked_at_alone)

    def begin_again(
        self, pool: ThreadPoolExecutor, before: Sequence[Future[Any]]
    ) -> list[Future[Any]]:
        """Look at what surprises again, when what was begun ``before`` is over."""

        def look(name: str) -> str | None:
            _until_over(before)
            if self._measured[name].exception() or self._looked_at_first(name) is None:
                return None
            return self._complaint(name, self._predicted[name], self._now(name))

        self._second = {name: pool.submit(look, name) for name in self._predicted}
        return [*self._second.values()]

    def differs(self, name: str) -> str | None:
        """What every look finds to be other than predicted; None: nothing."""
        complaints = []
        for number in range(1 + LOOKS):
            if number > 1:
                complaint = self._alone(number)[name]
            else:
                complaint = self._second[name].result() if number else self._looked_at_first(name)
            if complaint is None:
                return None
            complaints.append(complaint)
        return "\n".join(complaints)

    def _looked_at_first(self, name: str) -> str | None:
        """What the look beside many others finds."""
        seen = self[name]
        with _judging:
            if name not in self._first:
                self._first[name] = self._complaint(name, self._predicted[name], seen)
            return self._first[name]

    def _looked_at_alone(self, number: int) -> dict[str, str | None]:
        """What a look from 2 finds, at each experiment that surprised the one before.

        One after the other they have the machine to themselves. They are predicted with the costs
        of this moment, just before and just after all of them.
        """
        self.wait()
        before = (
            {name: second.result() for name, second in self._second.items()}
            if number == 2
            else self._alone(number - 1)
        )
        names = [name for name, complaint in before.items() if complaint]
        predicted: Mapping[str, Sequence[Seen]] = self._predicted

        def look() -> dict[str, Seen]:
            return {name: self._now(name) for name in names}

        if self._costs is None:
            measured = look()
        else:
            costs, measured = self._costs.around(look)
            predicted = self._predictions(names, costs)
        return {name: self._complaint(name, predicted[name], measured[name]) for name in names}

    def _predictions(self, names: Sequence[str], costs: Sequence[Costs]) -> dict[str, list[Seen]]:
        experiments = {name: self._exhibit.experiments[name] for name in names}
        return predictions(self._exhibit.sides.predict, experiments, partial(drawn, costs))

    def _complaint(self, name: str, predicted: Sequence[Seen], measured: Seen) -> str | None:
        """What the rank test finds."""
        criterion = self._exhibit.criteria(name)(predicted[:CONTEXT])
        judged = [criterion.statistics(run) for run in predicted[CONTEXT:]]
        return RankTest(judged, criterion.tolerance).complaint(criterion.statistics(measured))


def measured_run(experiment: Experiment) -> Run:
    """The first replication, measured."""
    return measure(experiment, 0, lambda *_: None)


#: Runs of either side.
RUNS = Sides(predicted_run, measured_run)


@contextmanager
def looks_together(*groups: tuple[Sequence[Measured[Any, Any]], int]) -> Iterator[None]:
    """Begin to measure what is in each group, so many at a time, one group after the other.

    All is predicted by then, on all cores: later that would disturb what is measured. What
    surprises is looked at again with the last group.
    """
    processes, usual = set(psutil.Process().children(recursive=True)), sys.getswitchinterval()
    busy: list[Future[Any]] = []

    def ended(_: Future[Any]) -> None:
        if all(future.done() for future in busy):
            sys.setswitchinterval(usual)

    sys.setswitchinterval(SWITCH_INTERVAL)
    with ExitStack() as stack:
        pools: list[ThreadPoolExecutor] = []
        before: tuple[Future[Any], ...] = ()
        for several, at_once in groups:
            pools.append(stack.enter_context(ThreadPoolExecutor(at_once)))
            order = sorted(
                ((s, each, name) for each in several for s, name in each.longest()),
                key=lambda it: -it[0],
            )
            before = tuple(busy)
            busy += [each.begin(name, pools[-1], before) for _, each, name in _in_turns(order)]
        everything = [each for several, _ in groups for each in several]
        for each in everything:
            busy += each.begin_again(pools[-1], before)
        for each in everything:
            each.alone_after(busy, processes)
        for future in busy:
            future.add_done_callback(ended)
        try:
            yield
        finally:
            for pool in pools:
                pool.shutdown(wait=False, cancel_futures=True)


def _in_turns(longest_first: Sequence[Name]) -> list[Name]:
    """The longest, the shortest, the second longest, and so on.

    A boot computes most of what a short measurement does, so short ones one after the other would
    disturb each other; and at the end a long one would be alone.
    """
    half = (len(longest_first) + 1) // 2
    pairs = zip_longest(longest_first[:half], longest_first[: half - 1 : -1])
    return [each for pair in pairs for each in pair if each is not None]


@contextmanager
def looks_at(
    exhibit: Exhibit[Seen], at_once: int, costs: HostCosts | None = None
) -> Iterator[Looks[Seen]]:
    """Begin to measure all experiments, ``at_once`` at a time."""
    looks = Looks(exhibit, costs)
    with looks_together(([looks], at_once)):
        yield looks
