"""The swarm finds what is wrong, makes it simple, and holds what it has found before."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import invariants
import pytest
from any_experiment import any_experiment
from judge import verdict
from run_rules import broken_events
from shrink import shrunk, simpler_than

from sim.experiment import Experiment, Host, LaunchDarkly, Probe, Proxy, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.document import to_dict
from sim.experiment.release import NEWEST
from sim.experiment.worker_class import WorkerClass
from sim.model.simulation import predict
from sim.reading.experiment_file import from_dict, read
from sim.run.arrivals import passes

#: Experiments that once were predicted wrongly, each as simple as the swarm could make it.
FOUND = sorted((Path(__file__).parents[1] / "swarm" / "found").glob("*.toml"))

#: Experiments of the swarm that a test looks at.
SOME = 60

#: What the swarm says in one way only, or not at all.
ONE_WAY = {
    *("replications", "disturbance.latency", "disturbance.rate"),
    *("disturbance.termination_grace_period", "proxy.connect_timeout"),
    *("traffic.route.blocking_io", "traffic.route.elsewhere"),
}


@pytest.mark.parametrize("path", FOUND, ids=[path.stem for path in FOUND])
def test_what_was_wrong_once_is_right(path: Path) -> None:
    asked = read(path)
    assert [*invariants.broken(asked, predict(asked))] == []


@pytest.mark.parametrize("number", range(SOME))
def test_nothing_is_wrong_with_any_experiment(number: int) -> None:
    asked = any_experiment(1, number)
    assert [*invariants.broken(asked, predict(asked))] == []


def test_the_swarm_asks_for_everything() -> None:
    asked = [any_experiment(1, number) for number in range(400)]
    assert {each.server.worker_class for each in asked} == {
        *("sync", "gthread", "gevent", "asgi", "uvicorn")
    }
    assert len({each.server.gunicorn for each in asked}) > 8
    for part in (
        [each for each in asked if each.proxy.present],
        [each for each in asked if each.probes],
        [each for each in asked if each.disturbances],
        [each for each in asked if each.traffic.routes],
        [each for each in asked if each.traffic.trace],
        [each for each in asked if each.host.cpu_limit is not None],
        [each for each in asked if each.server.bind.startswith("unix:")],
        [each for each in asked if passes(each)],
    ):
        assert len(part) >= 10
    assert all(each == from_dict(to_dict(each), "swarm") for each in asked)


def test_whatever_can_be_said_is_said_in_more_than_one_way() -> None:
    said: defaultdict[str, set[str]] = defaultdict(set)
    for number in range(1_000):
        for place, value in plain_values(to_dict(any_experiment(1, number))):
            said[place].add(value)
    always = {place for place, values in said.items() if len(values) == 1}
    assert always == ONE_WAY
    for table, kind in (("server", Server), ("host", Host), ("proxy", Proxy), ("probe", Probe)):
        assert {f"{table}.{field.name}" for field in fields(kind)} <= said.keys()
    traffic = {f"traffic.{field.name}" for field in fields(Traffic)}
    # A table of its own, as `traffic.route`.
    assert traffic - said.keys() == {"traffic.routes"}


def plain_values(document: dict[str, Any], where: str = "") -> Iterator[tuple[str, str]]:
    """Each value of a document, and its place."""
    for key, value in document.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                yield from plain_values(each, f"{where}{key}.")
            else:
                yield f"{where}{key}", str(each)


def test_the_same_seed_asks_the_same() -> None:
    assert any_experiment(3, 5) == any_experiment(3, 5)
    assert any_experiment(3, 5) != any_experiment(4, 5)


def test_a_failure_is_made_as_simple_as_it_can_be() -> None:
    """Here any experiment fails with two workers of an older release and three requests."""

    def fails(asked: Experiment) -> bool:
        number = len(asked.traffic.trace) or asked.traffic.requests or 0
        return asked.server.workers > 1 and asked.server.gunicorn != NEWEST and number >= 3

    found = next(filter(fails, (any_experiment(2, number) for number in range(200))))
    simplest = shrunk(found, fails)
    assert fails(simplest)
    assert not any(map(fails, simpler_than(simplest)))
    assert (len(simplest.traffic.trace) or simplest.traffic.requests) == 3
    assert not simplest.disturbances
    assert not simplest.probes
    assert not simplest.proxy.present


@pytest.mark.parametrize("worker_class", ["gevent", "asgi", "uvicorn"])
def test_what_an_experiment_puts_back_is_not_taken_away_again(worker_class: WorkerClass) -> None:
    """The costs of its worker class come back, whatever they are replaced by."""
    found = Experiment(Server(worker_class=worker_class, timeout=7))

    def fails(asked: Experiment) -> bool:
        return asked.server.worker_class == worker_class

    simplest = replace(found, server=Server(worker_class=worker_class))
    assert simplest.costs != Costs()
    assert simplest not in simpler_than(simplest)
    assert shrunk(found, fails).server == simplest.server


def test_what_takes_too_long_stays_as_it_is() -> None:
    found = Experiment(Server(timeout=7))
    assert shrunk(found, lambda _: True, patience=0.0) is found


def test_what_cannot_be_is_said() -> None:
    """Each of a run's rows is made impossible in one way."""
    asked = Experiment(traffic=replace(Experiment().traffic, requests=5))
    run = predict(asked)
    assert [*invariants.broken(asked, run)] == []
    for column, value, said in (
        ("finished", -1.0, "is over before it came"),
        ("finished", float("nan"), "and finished at nan"),
        ("started", 0.0, "started before it was accepted"),
        ("started", 1e6, "took less than its own io and cpu"),
        ("worker", 9, "worker 9 ran a request and was never forked"),
        ("outcome", 5, "is unfinished and finished at"),
    ):
        again = predict(asked)
        getattr(again.requests, column)[2] = value
        faults = [*invariants._requests(asked, again), *broken_events(again)]
        assert any(said in fault for fault in faults), (column, faults)


def test_what_is_refused_is_an_answer() -> None:
    """Eight workers of half a second each take 80 s to boot, at a twentieth of a core."""
    asked = replace(
        Experiment(Server(workers=8, preload_app=True, gunicorn="20.1.0")),
        host=Host(cpu_limit=0.05),
        launchdarkly=LaunchDarkly(enabled=True),
        costs=Costs(postfork=0.5),
    )
    for thorough in (True, False):
        said, faults = verdict(json.dumps(to_dict(asked)), thorough=thorough)
        assert said.startswith("refused: the server never boots")
        assert faults == []


def test_a_traceback_is_a_fault() -> None:
    assert verdict("{", thorough=False).faults[0].startswith("Traceback")
    whole = verdict('{"server": {"workers": 2}}', thorough=True)
    assert "differs from the one that was written" in whole.faults[0]
