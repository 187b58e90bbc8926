"""The tables of steps in the docstrings of the worker classes are what happens.

Goal: a reader can take from a table which steps a request takes, in which order, and what each of
them costs. Method: run a request alone, whose steps all take turns of their own, and compare the
methods that are called, and the time between them, with the rows of the table.

A gthread worker takes several steps in one turn of the GIL where nothing else is due. Goal: that is
the same as one by one. Method: predict the same requests both ways.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from statistics import fmean
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from sim.experiment import Experiment, Server, TraceRow, Traffic
from sim.experiment.costs import PARTS, Costs
from sim.experiment.distribution import Distribution
from sim.model.gunicorn import gthread
from sim.model.gunicorn.gasgi import ASGIWorker
from sim.model.gunicorn.ggevent import GeventWorker
from sim.model.gunicorn.gthread import ThreadWorker
from sim.model.gunicorn.gthread_old import OldThreadWorker
from sim.model.gunicorn.sync import SyncWorker
from sim.model.gunicorn.uvicorn_worker import UvicornWorker
from sim.model.gunicorn.worker import Worker
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.simulation import predict

#: What a request takes, s: the CPU is long enough for a turn of its own.
DEMANDS = {"io": 0.016, "cpu": 0.004}

#: Nothing else costs the same as any of these, or as a sum of them.
COSTS = Costs(
    **dict.fromkeys(PARTS, 1.0),
    accept=0.0001,
    request=0.0002,
    respond=0.0004,
    finish=0.0008,
    sync_finish=0.0008,
    timer_slack=0.0016,
    dispatch=0.0032,
    follow=0.0,
    handover=0.0,
)


class Row(NamedTuple):
    """A step, the costs that it has, and the method in which it is over."""

    step: str
    costs: tuple[str, ...]
    method: str


def table_of(docstring: str) -> list[Row]:
    """The rows of the table of steps in a module's docstring."""
    lines = docstring.splitlines()
    top, middle, bottom = (at for at, line in enumerate(lines) if re.fullmatch(r"=[= ]+=", line))
    columns = [group.span() for group in re.finditer("=+", lines[top])]
    head, *cells = (
        [line[first : last + 1].strip() for first, last in columns]
        for line in (lines[top + 1], *lines[middle + 1 : bottom])
    )
    costs, method = head.index("costs"), head.index("is over in")
    return [Row(row[0], tuple(row[costs].split(", ")), row[method]) for row in cells]


@pytest.mark.parametrize(
    ("worker_class", "server"),
    [
        (ThreadWorker, Server(worker_class="gthread", workers=1)),
        (OldThreadWorker, Server(worker_class="gthread", workers=1, gunicorn="23.0.0")),
        (SyncWorker, Server(worker_class="sync", workers=1)),
        (GeventWorker, Server(worker_class="gevent", workers=1)),
        (ASGIWorker, Server(worker_class="asgi", workers=1)),
        (UvicornWorker, Server(worker_class="uvicorn", workers=1)),
    ],
)
def test_a_request_takes_the_steps_of_the_table(
    worker_class: type[Worker], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = __import__(worker_class.__module__, fromlist=["__doc__"])
    assert isinstance(module, ModuleType)
    table = table_of(module.__doc__ or "")
    calls: list[tuple[str, float]] = []

    def recorded(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Worker | ListeningSocket, *arguments: object) -> Any:  # noqa: ANN401
            calls.append((name, self.clock.time))
            return method(self, *arguments)

        return call

    monkeypatch.setattr(ListeningSocket, "accept", recorded("accept(2)", ListeningSocket.accept))
    for row in table:
        method = getattr(worker_class, row.method)
        monkeypatch.setattr(worker_class, row.method, recorded(row.method, method))
    # The first request pays for the pages that it copies, and the run ends with the answer to the
    # last. The second is judged.
    trace = tuple(TraceRow(at, DEMANDS["io"], DEMANDS["cpu"]) for at in (0.0, 10.0, 20.0))
    predict(
        Experiment(
            server,
            traffic=Traffic(arrivals="trace", trace=trace),
            costs=COSTS,
        )
    )
    names = [name for name, _ in calls]
    begins = names.index("handle_request", names.index("handle_request") + 1)
    begins -= names[begins::-1].index("accept(2)")
    steps = calls[begins + 1 :][: len(table)]
    assert [name for name, _ in steps] == [row.method for row in table]
    before = calls[begins][1]
    for row, (_, time) in zip(table, steps, strict=True):
        costs = (DEMANDS.get(name) or getattr(COSTS, name) for name in row.costs)
        paid = sum(costs) - (COSTS.first_request if "first_request" in row.costs else 0.0)
        assert time - before == pytest.approx(paid, abs=1e-9), row.step
        before = time


def both_ways(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], list[float]]:
    """Latencies of the same requests, s: with several steps in a turn, and with each in its own."""
    experiment = Experiment(Server(workers=1, threads=4), traffic=traffic, replications=1)

    def latencies() -> list[float]:
        return [each.finished - each.arrival for each in predict(experiment).requests]

    together = latencies()
    # No application computes for so short a time that `_after_io` goes on to the response.
    monkeypatch.setattr(gthread, "SOON", -1.0)
    return together, latencies()


def test_steps_in_one_turn_are_the_steps_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tuple(TraceRow(float(at), 0.016, 0.0001 * at) for at in range(10))
    together, single = both_ways(Traffic(arrivals="trace", trace=trace), monkeypatch)
    assert together == pytest.approx(single, abs=1e-12)


def test_steps_in_one_turn_hardly_delay_other_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    traffic = Traffic(rate=60.0, requests=4000, io=Distribution("exp", (0.02,)))
    together, single = both_ways(traffic, monkeypatch)
    # A request that comes within such a turn waits for its end: about a millisecond at most.
    assert together != single
    differences = [abs(one - other) for one, other in zip(together, single, strict=True)]
    assert max(differences) < 0.003
    assert fmean(together) == pytest.approx(fmean(single), rel=0.002)
