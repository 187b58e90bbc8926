"""The rank test raises as many false alarms as it says, and rejects models that are wrong."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from random import Random
from typing import Any

import boot_looks
import load_looks
import pytest
import traffic_looks
import trouble_looks
from boot_looks import Boot, predicted_boot
from host_costs import drawn
from kinds import compiled_process
from looks import Criteria
from predictions import CONTEXT, Predict, predicted_run, predictions
from rank_test import FALSE_ALARM, RANKED, VARIANTS, Criterion, RankTest, Seen, Statistics

from sim.compiled import INTERPRETED
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Disturbance, Signal
from sim.experiment.document import to_dict
from sim.model.simulation import predict
from sim.run import Run
from sim.validation.comparison import ideal_run

#: Tests that may use it, so that all together keep their rate.
TESTS = 100

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


def test_it_is_predicted_by_the_model_that_kinds_say() -> None:
    compiled = os.environ.get("PYTEST_XDIST_WORKER") == f"gw{compiled_process()}"
    assert (INTERPRETED in os.environ) != compiled


@cache
def _predicted(experiment: Experiment, predict: Predict[Any]) -> list[Any]:
    """As many predictions as a test takes, made once for all truths that they are held against."""
    return predictions(predict, {"power": experiment}, partial(drawn, [Costs()]))["power"]


@cache
def _test_of(
    experiment: Experiment, criteria: Criteria[Any], predict: Predict[Any]
) -> tuple[Criterion[Any], RankTest]:
    """What is judged of an experiment, and the rank test of its predictions."""
    predicted = _predicted(experiment, predict)
    criterion = criteria(predicted[:CONTEXT])
    statistics = [criterion.statistics(run) for run in predicted[CONTEXT:]]
    return criterion, RankTest(statistics, criterion.tolerance)


def _complaints(
    experiment: Experiment,
    criteria: Criteria[Seen],
    truth: Callable[[Experiment, int], Seen],
    predict: Predict[Seen],
) -> list[str | None]:
    """What is said of three runs of the ``truth``, where ``experiment`` is predicted."""
    criterion, test = _test_of(experiment, criteria, predict)
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
    complaints = _complaints(experiment, traffic_looks.criteria, truth, predicted_run)
    assert all(complaints) if rejected else not all(complaints)


def _resized(experiment: Experiment, seed: int, **settings: int) -> Run:
    """What a server of another size makes of the same requests."""
    server = replace(experiment.server, **settings)  # type: ignore[arg-type]
    run = _model(replace(experiment, server=server), seed)
    return replace(run, experiment=to_dict(experiment))


def _scaled(experiment: Experiment, seed: int, *, factor: float) -> Run:
    """Every latency times a ``factor``."""
    run = _model(experiment, seed)
    rows = run.requests
    later = (
        due + factor * (end - due) for due, end in zip(rows.arrival, rows.finished, strict=True)
    )
    return replace(run, requests=replace(rows, finished=array("d", later)))


def _load(server: Server) -> Experiment:
    """The load of `test_reality`, 56 requests/s of 50 ms in the mean."""
    experiment = _traffic(replace(server, preload_app=True), 56.0, "exp:0.05")
    return replace(experiment, traffic=replace(experiment.traffic, requests=340))


TWO_BY_TWO = Server(workers=2, threads=2, worker_class="gthread")
LOADS = {
    "1x4": _load(Server(workers=1, threads=4, worker_class="gthread")),
    "2x2": _load(TWO_BY_TWO),
    "2x2, 2 connections": _load(replace(TWO_BY_TWO, worker_connections=2)),
    "4x1": _load(FOUR),
    "sync 4": _load(Server(workers=4)),
}


@pytest.mark.parametrize(
    ("name", "truth", "rejected"),
    [
        *((name, _model, False) for name in LOADS),
        # The model's target is 10 %.
        *((name, partial(_scaled, factor=1.05), False) for name in LOADS),
        *((name, partial(_scaled, factor=1.3), True) for name in LOADS),
        *((name, partial(_scaled, factor=0.8), True) for name in LOADS),
        ("1x4", partial(_resized, threads=3), True),
        ("2x2", partial(_resized, threads=1), True),
        ("2x2", _ideal, True),
        ("2x2, 2 connections", partial(_resized, threads=1), True),
        ("4x1", _ideal, True),
        ("sync 4", partial(_resized, workers=3), True),
    ],
)
def test_latencies_of_another_server_are_rejected(
    name: str, truth: Callable[[Experiment, int], Run], rejected: bool
) -> None:
    complaints = _complaints(LOADS[name], load_looks.latencies, truth, predicted_run)
    assert all(complaints) if rejected else not all(complaints)


def _fair(experiment: Experiment, seed: int) -> Run:
    """Workers accept in turns."""
    run = _model(experiment, seed)
    workers = experiment.server.workers
    turns = array("i", (1 + number % workers for number in range(len(run.requests))))
    return replace(run, requests=replace(run.requests, worker=turns))


def _sleepers(workers: int) -> Experiment:
    """The low load of `test_reality`: only which worker accepts is judged."""
    server = Server(workers=workers, threads=8, worker_class="gthread", preload_app=True)
    experiment = _traffic(server, 50.0, "const:0.005")
    return replace(experiment, traffic=replace(experiment.traffic, requests=max(300, 50 * workers)))


@pytest.mark.parametrize(
    ("experiment", "truth", "rejected"),
    [
        (_sleepers(2), _model, False),
        (_sleepers(8), _model, False),
        (_sleepers(8), _fair, True),
        (LOADS["4x1"], _model, False),
        (LOADS["4x1"], partial(_resized, workers=3), True),
    ],
    ids=["two", "eight", "eight in turns", "4x1", "3x1"],
)
def test_shares_of_another_race_are_rejected(
    experiment: Experiment, truth: Callable[[Experiment, int], Run], rejected: bool
) -> None:
    complaints = _complaints(experiment, load_looks.shares, truth, predicted_run)
    assert all(complaints) if rejected else not all(complaints)


BOOT = Experiment(
    Server(workers=4, threads=2, worker_class="gthread"),
    traffic=Traffic(requests=1),
    launchdarkly=LaunchDarkly(enabled=True, latency=0.2),
    replications=1,
)


def _boot(experiment: Experiment, seed: int, **costs: float) -> Boot:
    scaled = {name: getattr(Costs(), name) * factor for name, factor in costs.items()}
    return predicted_boot(replace(experiment, costs=replace(Costs(), **scaled)), 1000 + seed)


def _preloaded(experiment: Experiment, seed: int) -> Boot:
    return _boot(replace(experiment, server=replace(experiment.server, preload_app=True)), seed)


def _one_by_one(experiment: Experiment, seed: int) -> Boot:
    """Each worker is forked when the one before is ready."""
    boot = _boot(experiment, seed)
    return replace(boot, gaps=[gap + s for gap, s in zip(boot.gaps, boot.workers, strict=False)])


@pytest.mark.parametrize(
    ("truth", "rejected"),
    [
        (_boot, False),
        (partial(_boot, import_app=1.8), True),
        (_preloaded, True),
        (_one_by_one, True),
    ],
    ids=["boot", "dear imports", "preloaded", "one by one"],
)
def test_a_boot_of_another_model_is_rejected(
    truth: Callable[[Experiment, int], Boot], rejected: bool
) -> None:
    complaints = _complaints(BOOT, boot_looks.criteria, truth, predicted_boot)
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
    complaints = _complaints(
        experiment, partial(trouble_looks.criteria, experiment), truth, predicted_run
    )
    assert all(complaints) if rejected else not all(complaints)
