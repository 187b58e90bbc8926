"""What processes take of the memory: two real servers teach what others take."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from reference_app.rig.memory import collect, exercise, experiment_of, measure_memory, memory_of
from reference_app.rig.server import running_server
from sim.model.memory import predict_memory


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_real_servers_take_what_two_workers_have_taught() -> None:
    """Learn from servers of two workers, with 1 and 16 threads, and predict others."""
    learnt = measure_memory(launchdarkly=False)
    for workers, threads, preload, launchdarkly, gc_freeze in (
        (4, 3, False, False, False),
        (1, 1, True, False, False),
        (5, 4, True, True, False),
        (4, 3, True, False, True),
    ):
        experiment = replace(
            experiment_of(workers, threads, preload=preload, launchdarkly=launchdarkly),
            gc_freeze=gc_freeze,
        )
        with running_server(experiment) as server:
            exercise(server, experiment)
            collect(server)
            measured = memory_of(server)
        predicted = predict_memory(replace(experiment, memory=learnt))
        assert measured is not None
        for part in ("total", "shared", "master", "worker"):
            was = getattr(measured, part)
            assert getattr(predicted, part) == pytest.approx(was, rel=0.10), (part, experiment)


def test_gevent_workers_take_what_two_of_them_have_taught() -> None:
    """Twice what others take at first: each looks at every object that it has, and copies it."""
    learnt = measure_memory(launchdarkly=False, worker_class="gevent")
    assert learnt.copied < 0.1 * learnt.worker
    experiment = experiment_of(4, 1, preload=True, launchdarkly=False, worker_class="gevent")
    with running_server(experiment) as server:
        exercise(server, experiment)
        at_first = memory_of(server)
        collect(server)
        measured = memory_of(server)
    predicted = predict_memory(replace(experiment, memory=learnt))
    assert at_first is not None
    assert measured is not None
    assert predicted.total_at_first == pytest.approx(at_first.total, rel=0.10)
    for part in ("total", "shared", "master", "worker"):
        assert getattr(predicted, part) == pytest.approx(getattr(measured, part), rel=0.10), part
