"""Which configurations a search may choose from, and in which order."""

from __future__ import annotations

import pytest

from sim.errors import ExperimentError
from sim.experiment import Experiment, Host, Server
from sim.study.candidates import SEARCHED, Candidate, candidates

BASE = Experiment(Server(keepalive=5), host=Host(cores=2))


def linear(experiment: Experiment) -> float:
    """Bytes: 30 MB, and 25 MB a worker, and 1 MB a thread."""
    server = experiment.server
    return 30e6 + 25e6 * server.workers + 1e6 * server.concurrency


def shapes(found: tuple[Candidate, ...]) -> list[tuple[int, int]]:
    return [(one.server.workers, one.server.threads) for one in found]


def test_fewer_processes_come_first_then_fewer_threads() -> None:
    found = candidates(BASE, {})
    order = [(one.server.workers, one.server.concurrency) for one in found]
    assert order == sorted(order)
    assert found[0].server == Server(keepalive=5)
    assert max(one.server.workers for one in found) == 2 * BASE.host.cores + 1


def test_less_memory_comes_before_fewer_processes() -> None:
    values = {"worker_class": ("gthread",), "workers": (1, 2), "threads": (1, 40)}
    found = candidates(
        BASE, {**values, "reuse_port": (False,), "worker_connections": (1000,)}, memory=linear
    )
    assert shapes(found) == [(1, 1), (2, 1), (1, 40), (2, 40)]


def test_memory_is_a_limit() -> None:
    found = candidates(BASE, {"threads": (1, 40)}, memory=linear, most_memory=90e6)
    assert set(shapes(found)) == {(1, 1), (2, 1)}
    with pytest.raises(ExperimentError, match="memory is 50 MB, and the smallest configuration"):
        candidates(BASE, {}, memory=linear, most_memory=50e6)


def test_what_makes_no_difference_is_not_tried() -> None:
    found = candidates(BASE, {})
    servers = [one.server for one in found]
    assert len(set(servers)) == len(servers)
    for server in servers:
        assert server.keepalive == 5
        if server.workers == 1:
            assert not server.reuse_port
        if server.worker_class == "sync" or server.workers == 1:
            assert server.worker_connections == 1000
        else:
            assert server.worker_connections in (1000, server.threads)
    gunicorns = next(s for s in servers if s.workers == 2 and s.threads == 4)
    assert (gunicorns.worker_connections, gunicorns.reuse_port) == (1000, False)


def test_what_is_chosen_is_all_that_is_tried() -> None:
    found = candidates(
        BASE, {"workers": (2,), "reuse_port": (True,), "worker_connections": (7,), "threads": (3,)}
    )
    assert [dict(one.point) for one in found] == [
        dict(zip(SEARCHED, ("gthread", 2, 3, 7, True, 0), strict=True))
    ]


def test_too_many_are_refused() -> None:
    with pytest.raises(ExperimentError, match="there are 4000000 configurations to try"):
        candidates(BASE, {"workers": range(1, 1001), "threads": range(1, 1001)})
