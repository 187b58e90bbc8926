"""The costs of each release: defaults follow the server's release, and a file names its own."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from sim.experiment import Experiment, Server
from sim.experiment.costs import Costs
from sim.experiment.default_costs import RELEASES
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.release import KNOWN, NEWEST, release
from sim.experiment.release_defaults import alike_since, default_costs, default_memory
from sim.experiment.release_notices import costs_notices
from sim.reading.experiment_file import from_dict

OLD = Server(gunicorn="23.0.0")


def test_every_release_has_defaults() -> None:
    assert all(since in KNOWN for since in RELEASES)
    names = {cost.name for cost in fields(Costs)}
    assert all(times.keys() <= names for times in RELEASES.values())
    assert default_costs(NEWEST) == Costs()


@pytest.mark.parametrize("number", KNOWN)
def test_releases_share_costs_where_they_share_the_worker(number: str) -> None:
    since = release(alike_since(number))
    known = release(number)
    assert (known.finished_by, known.new_connection) == (since.finished_by, since.new_connection)


def test_default_costs_follow_the_release_of_the_server() -> None:
    old = Experiment(OLD)
    assert old.costs == default_costs("23.0.0") != Costs()
    assert replace(old, server=Server()) == Experiment()
    assert replace(Experiment(), server=OLD) == old


def test_given_costs_do_not_follow_it() -> None:
    given = replace(Costs(), fork=0.125)
    assert Experiment(OLD, costs=given).costs == given


def test_a_document_changes_the_defaults_of_its_release() -> None:
    document = {"server": {"gunicorn": "23.0.0"}, "costs": {"fork": 0.125}}
    changed = replace(default_costs("23.0.0"), fork=0.125)
    assert from_dict(document, "x").costs == changed


def test_costs_of_a_release_with_another_worker_are_noticed() -> None:
    (notice,) = costs_notices("costs.toml", "27.0.1", OLD)
    assert "costs.toml were measured with Gunicorn 27.0.1" in notice
    assert "calibrate --gunicorn 23.0.0" in notice
    assert not costs_notices("costs.toml", "21.2.0", OLD)
    assert not costs_notices("costs.toml", None, OLD)


def test_costs_of_a_worker_class_with_other_costs_are_noticed() -> None:
    gevent = Server(worker_class="gevent")
    (notice,) = costs_notices("costs.toml", NEWEST, gevent, "gthread")
    assert "costs.toml were measured with worker class gthread; gevent" in notice
    assert "calibrate --worker-class gevent" in notice
    assert not costs_notices("costs.toml", NEWEST, gevent, "gevent")
    assert not costs_notices("costs.toml", NEWEST, Server(), "gthread")


def test_default_costs_follow_the_worker_class() -> None:
    gevent = Experiment(Server(worker_class="gevent"))
    assert gevent.costs == default_costs(NEWEST, "gevent") != Costs()
    assert replace(gevent, server=Server()) == Experiment()
    assert gevent.costs == default_costs("23.0.0", "gevent")
    assert from_dict({"server": {"worker_class": "gevent"}}, "x").costs == gevent.costs


def test_default_memory_follows_the_worker_class() -> None:
    gevent = Experiment(Server(worker_class="gevent"))
    assert gevent.memory == default_memory("gevent") != MemoryCosts()
    assert replace(gevent, server=Server()) == Experiment()
    assert replace(Experiment(), server=gevent.server) == gevent
    assert from_dict({"server": {"worker_class": "gevent"}}, "x").memory == gevent.memory
    assert Experiment(OLD).memory == Experiment(Server(worker_class="sync")).memory


def test_given_memory_does_not_follow_it() -> None:
    given = replace(MemoryCosts(), worker=1e6)
    assert Experiment(Server(worker_class="gevent"), memory=given).memory == given


def test_a_document_changes_the_memory_of_its_worker_class() -> None:
    document = {"server": {"worker_class": "gevent"}, "memory": {"worker": 1e6}}
    assert from_dict(document, "x").memory == replace(default_memory("gevent"), worker=1e6)
