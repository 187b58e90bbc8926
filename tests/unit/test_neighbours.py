"""Neighbours of a server: which there are, and that they get the same requests."""

from __future__ import annotations

import pytest
from study_run import free

from sim.experiment import Experiment, Server, Traffic
from sim.experiment.disturbance import Signal
from sim.model.simulation import predict
from sim.study import neighbours as module
from sim.study.neighbours import Neighbours, neighbours, points
from sim.study.observation import observe


def set_by(**server: object) -> list[dict[str, object]]:
    return [dict(point) for point in points(Server(**server))]  # type: ignore[arg-type]


def test_what_is_changed_depends_on_the_server() -> None:
    assert set_by(workers=2) == [{"workers": 3}, {"worker_class": "gthread", "threads": 4}]
    assert set_by(workers=2, worker_class="gevent") == [{"workers": 3}]
    gthread = {"workers": 2, "threads": 3, "worker_class": "gthread"}
    others = [{"workers": 3}, {"threads": 4}, {"workers": 1, "threads": 6}]
    assert set_by(**gthread) == [*others, {"worker_connections": 3}]
    # Old releases must not limit connections, and a limit is no change where there is one.
    assert set_by(**gthread, gunicorn="23.0.0") == others
    assert set_by(**gthread, worker_connections=3) == others
    assert set_by(workers=1, threads=2) == [{"workers": 2}, {"threads": 3}]


def test_they_get_the_same_requests() -> None:
    experiment = free(30.0, requests=300)
    found = neighbours(experiment)
    assert found.replications == 5
    assert [each.setting for each in found.changes] == ["threads = 2", "workers = 2"]
    for each in found.changes:
        mean = each.of("mean")
        assert mean.finding == "lower"
        means = [observe(predict(experiment, number)).mean or 0.0 for number in range(5)]
        assert mean.a is not None
        assert mean.a.value == pytest.approx(sum(means) / 5)
    lowest = [each.of("mean").b for each in found.changes]
    assert [value.value for value in lowest if value] == sorted(
        value.value for value in lowest if value
    )


def test_without_an_answer_a_neighbour_is_last() -> None:
    traffic = Traffic(rate=5.0, requests=10, timeout=0.001)
    found = neighbours(Experiment(Server(), traffic=traffic, replications=3))
    assert [each.of("mean").b for each in found.changes] == [None, None]


def test_a_disturbance_that_does_not_fit_leaves_a_neighbour_out() -> None:
    experiment = Experiment(
        Server(workers=2, threads=2),
        traffic=Traffic(rate=5.0, requests=10),
        disturbances=(Signal(at=1.0, signal="KILL", to="worker", worker=2),),
        replications=3,
    )
    settings = {each.setting for each in neighbours(experiment).changes}
    assert settings == {"workers = 3", "threads = 3", "worker_connections = 2"}


def test_too_much_work_or_too_few_replications_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Traffic(rate=5.0, requests=10)
    assert neighbours(Experiment(Server(), traffic=small, replications=2)) == Neighbours()
    monkeypatch.setattr(module, "MOST_REQUESTS", 90)
    assert neighbours(Experiment(Server(), traffic=small)).replications == 3
    monkeypatch.setattr(module, "MOST_REQUESTS", 80)
    assert neighbours(Experiment(Server(), traffic=small)) == Neighbours()
