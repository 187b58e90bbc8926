"""The rank test raises as many false alarms as it says, and rejects models that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

import pytest
import traffic_looks
import trouble_looks
from looks import CONTEXT, Criteria, variants
from rank_test import FALSE_ALARM, RANKED, VARIANTS, RankTest, Statistics

from sim.experiment import Experiment, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Disturbance, Signal
from sim.model.simulation import predict
from sim.run import Run
from sim.validation.comparison import ideal_run

#: Tests that may use it, so that all together keep their rate.
TESTS = 80

#: Measurements of which false alarms are counted.
TRIALS = 300


def _drawn(random: Random, error: float = 0.0) -> Statistics:
    """A count, and three values of which two belong together and one is mostly missing."""
    size = random.gauss(10 + error)
    values = {"size": size, "twice": 2 * size + random.gauss(), "skewed": random.expovariate(1)}
    if random.random() < 0.3:
        values["seldom"] = random.random()
    return Statistics({"times": random.randrange(3)}, values)


def _alarms(random: Random, error: float = 0.0, tolerance: float = 0.0) -> int:
    """Of `TRIALS` measurements, each with predictions of its own."""
    return sum(
        RankTest([_drawn(random) for _ in range(VARIANTS)], lambda *_: tolerance).complaint(
            _drawn(random, error)
        )
        is not None
        for _ in range(TRIALS)
    )


def test_one_look_alarms_once_in_as_many_as_are_ranked() -> None:
    expected = TRIALS / (RANKED + 1)
    # Four standard deviations of a Poisson count. Ties make it rarer.
    assert expected / 4 < _alarms(Random(1)) < expected + 4 * expected**0.5


def test_the_whole_suite_alarms_less_than_once_in_a_thousand() -> None:
    assert TESTS * FALSE_ALARM < 1 / 1000


def test_an_error_within_the_tolerance_is_no_alarm() -> None:
    expected = TRIALS / (RANKED + 1)
    assert _alarms(Random(2), error=0.4, tolerance=1.0) < expected
    assert _alarms(Random(2), error=8.0, tolerance=1.0) > 0.9 * TRIALS


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (Statistics({"times": 1}, {"at": 2.2}), "at: 2.2, predicted 1 to 1, median 1"),
        (Statistics({"times": 2}, {"at": 1.0}), "times: 2, predicted 1 to 1"),
        (Statistics({}, {}), "times: 0, predicted 1 to 1"),
        (Statistics({"times": 1}, {"of": 1.0}), "of: 1, which no prediction has"),
    ],
)
def test_what_never_varies_may_differ_by_the_tolerance(measured: Statistics, words: str) -> None:
    always = Statistics({"times": 1}, {"at": 1.0})
    test = RankTest([always] * VARIANTS, lambda name, value: value if name == "at" else 0.0)
    assert test.complaint(Statistics({"times": 1}, {"at": 2.0})) is None
    complaint = test.complaint(measured)
    assert complaint is not None
    assert complaint.startswith(words)


def test_any_other_number_of_predictions_is_refused() -> None:
    with pytest.raises(ValueError, match=f"98 predictions; expected {VARIANTS}"):
        RankTest([Statistics()] * 98, lambda *_: 0.0)


def _complaints(
    experiment: Experiment, criteria: Criteria, truth: Callable[[Experiment, int], Run]
) -> list[str | None]:
    """What is said of three runs of the ``truth``, where ``experiment`` is predicted."""
    predicted = variants("power", experiment, [Costs()])
    criterion = criteria(predicted[:CONTEXT])
    test = RankTest([criterion.statistics(run) for run in predicted[CONTEXT:]], criterion.tolerance)
    return [test.complaint(criterion.statistics(truth(experiment, seed))) for seed in range(3)]


def _model(experiment: Experiment, seed: int, **costs: float) -> Run:
    """What the model has, with other costs where ``costs`` say so."""
    scaled = {name: getattr(Costs(), name) * factor for name, factor in costs.items()}
    return predict(replace(experiment, costs=replace(Costs(), **scaled)), 0, 1000 + seed)


def _ideal(experiment: Experiment, seed: int) -> Run:
    """What one shared queue without any costs makes of the same requests."""
    return replace(ideal_run(_model(experiment, seed)), events=())


def _traffic(server: Server, rate: float, io: str) -> Experiment:
    traffic = Traffic(rate=rate, requests=200, io=Distribution.parse(io))
    return Experiment(server=server, traffic=traffic, seed=7, replications=1)


FOUR = Server(workers=4, threads=1, worker_class="gthread", preload_app=True)
QUEUES = _traffic(FOUR, 56.0, "exp:0.05")
QUICK = _traffic(replace(FOUR, workers=1, threads=4), 100.0, "const:0.002")


@pytest.mark.parametrize(
    ("experiment", "truth", "rejected"),
    [
        (QUEUES, _model, False),
        (QUEUES, _ideal, True),
        (QUICK, _model, False),
        (QUICK, partial(_model, connect=6, request=6, respond=6), True),
    ],
    ids=["queues", "one shared queue", "quick", "dear requests"],
)
def test_traffic_of_another_model_is_rejected(
    experiment: Experiment, truth: Callable[[Experiment, int], Run], rejected: bool
) -> None:
    complaints = _complaints(experiment, traffic_looks.criteria, truth)
    assert all(complaints) if rejected else not all(complaints)


def _trouble(*disturbances: Disturbance) -> Experiment:
    server = Server(workers=2, threads=2, worker_class="gthread", preload_app=True)
    traffic = Traffic(rate=40.0, duration=3.0, io=Distribution("exp", (0.05,)), drain=2.0)
    return Experiment(server=server, traffic=traffic, disturbances=disturbances, replications=1)


AT = trouble_looks.AT
UPGRADE = _trouble(Signal(AT, "USR2", to="master"), Signal(2.5, "TERM", to="master"))
RELOAD = _trouble(Signal(AT, "HUP", to="master"))


def _late_reload(experiment: Experiment, seed: int) -> Run:
    late = Signal(AT + 0.3, "HUP", to="master")
    run = _model(replace(experiment, disturbances=(late,)), seed)
    return replace(run, experiment=_model(experiment, seed).experiment)


@pytest.mark.parametrize(
    ("experiment", "truth", "rejected"),
    [
        (UPGRADE, _model, False),
        (UPGRADE, partial(_model, import_app=1.5, reexec=1.5), True),
        (RELOAD, _model, False),
        (RELOAD, _late_reload, True),
    ],
    ids=["upgrade", "dear upgrade", "reload", "late reload"],
)
def test_trouble_of_another_model_is_rejected(
    experiment: Experiment, truth: Callable[[Experiment, int], Run], rejected: bool
) -> None:
    complaints = _complaints(experiment, partial(trouble_looks.criteria, experiment), truth)
    assert all(complaints) if rejected else not all(complaints)
