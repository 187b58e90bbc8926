"""What processes take of the memory: the prediction's arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.errors import ExperimentError
from sim.experiment import Experiment, LaunchDarkly, Server
from sim.experiment.document import to_dict
from sim.experiment.memory_costs import MemoryCosts
from sim.model.memory import predict_memory
from sim.reading.experiment_file import from_dict
from sim.run import Memory

COSTS = MemoryCosts(
    shared=100.0,
    master=10.0,
    worker=20.0,
    preloaded_shared=150.0,
    preloaded_master=30.0,
    preloaded_worker=12.0,
    thread=1.0,
    flag_client=3.0,
    copied=2.0,
    preloaded_copied=7.0,
    preloaded_client_copied=4.0,
)


@pytest.mark.parametrize(
    ("server", "launchdarkly", "expected"),
    [
        (Server(workers=3), False, Memory(170, 100, 10, 20, 164)),
        (Server(workers=3, threads=5), False, Memory(182, 100, 10, 24, 176)),
        (Server(workers=3, threads=5), True, Memory(191, 100, 10, 27, 185)),
        (Server(workers=2, preload_app=True), False, Memory(204, 150, 30, 12, 190)),
        (Server(workers=2, preload_app=True), True, Memory(210, 150, 30, 15, 204)),
    ],
)
def test_what_each_part_takes(server: Server, launchdarkly: bool, expected: Memory) -> None:
    flags = LaunchDarkly(enabled=launchdarkly)
    assert predict_memory(Experiment(server, launchdarkly=flags, memory=COSTS)) == expected


@pytest.mark.parametrize(
    ("server", "launchdarkly", "expected"),
    [
        (Server(workers=2, preload_app=True), False, Memory(190, 157, 23, 5, None)),
        (Server(workers=2, preload_app=True), True, Memory(204, 153, 27, 12, None)),
        (Server(workers=3), False, Memory(164, 102, 8, 18, None)),
    ],
)
def test_what_is_frozen_stays_shared(server: Server, launchdarkly: bool, expected: Memory) -> None:
    flags = LaunchDarkly(enabled=launchdarkly)
    experiment = Experiment(server, launchdarkly=flags, memory=COSTS, gc_freeze=True)
    frozen = predict_memory(experiment)
    assert frozen == expected
    assert frozen.total == predict_memory(replace(experiment, gc_freeze=False)).total_at_first


def test_a_class_that_copies_at_boot_takes_all_of_it_from_the_start() -> None:
    gevent = Experiment(Server(workers=2, preload_app=True, worker_class="gevent"), memory=COSTS)
    assert predict_memory(gevent) == Memory(204, 150, 30, 12, 204)


def test_an_experiment_says_what_processes_take() -> None:
    experiment = Experiment(memory=COSTS)
    assert from_dict(to_dict(experiment), "here") == experiment
    assert from_dict({"memory": {"thread": 2}}, "here").memory == MemoryCosts(thread=2.0)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_what_no_process_can_take_is_refused(value: float) -> None:
    with pytest.raises(ExperimentError, match=r"memory thread is .*; expected a finite number of"):
        MemoryCosts(thread=value)
