"""What binds, in a sentence: the one thing that requests of an experiment wait for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sim.analysis.binding import binding
from sim.analysis.summary import summarize
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict


def sentence(server: Server, traffic: Traffic, cores: int = 2) -> str:
    experiment = Experiment(server=server, traffic=traffic, host=Host(cores=cores))
    return binding(summarize(predict(experiment, number) for number in range(2)))


def traffic(rate: float, io: float = 0.05, cpu: float = 0.0) -> Traffic:
    return Traffic(
        rate=rate,
        io=Distribution("exp", (io,)),
        cpu=Distribution("exp", (cpu,)),
        duration=20.0,
    )


@pytest.mark.parametrize(
    ("server", "requests", "begins"),
    [
        (Server(workers=2, threads=8), traffic(20.0), "Nothing binds: 99 of 100 requests start"),
        (Server(workers=2, threads=2), traffic(56.0), "Separate queues bind: 2."),
        (Server(workers=1, threads=4), traffic(60.0), "Threads bind: 3."),
        (Server(workers=4), traffic(60.0), "Threads bind: 3."),
        (
            Server(workers=1, threads=8),
            traffic(60.0, io=0.001, cpu=0.013),
            "Computing binds: requests compute for 0.78 s each second",
        ),
        (
            Server(workers=1, worker_class="gevent"),
            replace(traffic(16.0), blocking_io=1.0),
            "The event loop binds: ",
        ),
        (
            Server(workers=1, worker_class="asgi", preload_app=False),
            traffic(20.0),
            "Nothing binds: 99 of 100 requests start",
        ),
        (Server(workers=1, threads=2), traffic(60.0), "The requests would keep 3.00 threads busy"),
    ],
    ids=("nothing", "queues", "threads", "sync", "computing", "loop", "unlimited", "overload"),
)
def test_the_sentence_names_what_binds(server: Server, requests: Traffic, begins: str) -> None:
    found = sentence(server, requests)
    assert found.startswith(begins), found
    assert found.endswith(".")
    for time in re.findall(r"([\d.]+) ms", found):
        assert len(time.replace(".", "")) == 3, f"{time} ms has not three digits"


def test_a_server_that_answers_nothing_is_not_called_idle() -> None:
    silent = Traffic(
        rate=5.0, io=Distribution("const", (100.0,)), duration=2.0, drain=1.0, timeout=0.5
    )
    assert "Nothing binds" not in sentence(Server(workers=16, threads=64), silent)


def test_a_server_that_is_not_overloaded_and_answers_nothing_says_so() -> None:
    hasty = Traffic(rate=1.0, requests=3, io=Distribution("const", (0.1,)), timeout=0.01)
    assert sentence(Server(workers=2), hasty) == "No request is answered."


def test_a_measurement_that_knows_no_start_says_nothing_of_waits() -> None:
    summary = summarize([predict(Experiment(traffic=Traffic(rate=5.0, duration=2.0)))])
    for unknown in (replace(summary, wait=None), replace(summary, ideal_wait=None)):
        assert binding(unknown).startswith("What requests wait for is not known")
