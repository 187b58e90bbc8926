"""The model against queueing theory, where Gunicorn is a queue that theory can solve.

Every time in `Costs` is 0 here, so that only the queueing is left. Demands have a mean of 50 ms
and half of all servers are busy. Seeds are fixed: these tests give the same numbers every time.
"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from predictions import replications

from sim.analysis import theory
from sim.analysis.estimate import Estimate
from sim.analysis.ideal import ideal
from sim.analysis.summary import Times, summarize
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.model.cpython import calls
from sim.model.simulation import predict
from sim.run import OK, Run

#: Nothing costs time; who wins a race stays as it is.
FREE = replace(
    Costs(), **{cost.name: 0.0 for cost in fields(Costs) if not cost.name.startswith("wake_")}
)

SERVICE = 0.05
REPLICATIONS = 10
REQUESTS = 20_000

EXPONENTIAL = Distribution("exp", (SERVICE,))
CONSTANT = Distribution("const", (SERVICE,))
NOTHING = Distribution("const", (0.0,))
#: One in ten takes eleven times as long as the others.
UNEQUAL = Distribution("bimodal", (0.9, 0.025, 0.275))

#: Servers with four threads that accept only what they can run: one shared queue.
SHARED_QUEUE_OF_FOUR = {
    "gthread 1x4": Server(workers=1, threads=4),
    "sync 4": Server(workers=4),
    "gthread 4x1, 1 connection": Server(workers=4, worker_class="gthread", worker_connections=1),
    "gthread 2x2, 2 connections": Server(workers=2, threads=2, worker_connections=2),
}


def experiment(
    server: Server,
    servers: int,
    *,
    io: Distribution = NOTHING,
    cpu: Distribution = NOTHING,
    requests: int = REQUESTS,
    utilization: float = 0.5,
    cores: int = 2,
) -> Experiment:
    """Poisson arrivals that keep ``utilization`` of so many ``servers`` busy."""
    rate = utilization * servers / (io.mean + cpu.mean)
    traffic = Traffic(rate=rate, requests=requests, io=io, cpu=cpu, drain=600.0)
    host = Host(cores=cores, clients="remote")
    return Experiment(server=server, host=host, traffic=traffic, costs=FREE)


def here(asked: Experiment) -> list[Run]:
    """All replications, predicted in this process, where the model may be patched."""
    return [predict(asked, number) for number in range(REPLICATIONS)]


def predicted(asked: Experiment, runs: list[Run] | None = None) -> tuple[Times, Times]:
    """The latency and the wait of all replications; every request is answered."""
    summary = summarize(replications(asked, REPLICATIONS) if runs is None else runs)
    assert (
        summary.outcomes["ok"] == summary.requests == REPLICATIONS * (asked.traffic.requests or 0)
    )
    assert summary.latency is not None
    assert summary.wait is not None
    return summary.latency, summary.wait


def assert_is(estimate: Estimate, expected: float) -> None:
    """The 95 % interval has the expected value inside, and outside what is wrong by 10 %."""
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0.9 * expected < estimate.low < expected < estimate.high < 1.1 * expected


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(Server(worker_class="gthread"), id="gthread 1x1"),
        pytest.param(Server(), id="sync 1"),
    ],
)
def test_one_thread_is_mm1(server: Server) -> None:
    asked = experiment(server, 1, io=EXPONENTIAL)
    latency, wait = predicted(asked)
    rate = asked.traffic.rate
    assert_is(wait.mean, theory.mmc_mean_wait(rate, SERVICE, 1))
    assert_is(latency.mean, theory.mmc_mean_sojourn(rate, SERVICE, 1))
    assert_is(latency.p95, theory.mm1_sojourn_quantile(rate, SERVICE, 0.95))


@pytest.mark.parametrize("server", SHARED_QUEUE_OF_FOUR.values(), ids=SHARED_QUEUE_OF_FOUR.keys())
def test_four_threads_behind_one_queue_are_mm4(server: Server) -> None:
    asked = experiment(server, 4, io=EXPONENTIAL)
    latency, wait = predicted(asked)
    assert_is(wait.mean, theory.mmc_mean_wait(asked.traffic.rate, SERVICE, 4))
    assert_is(latency.mean, theory.mmc_mean_sojourn(asked.traffic.rate, SERVICE, 4))


@pytest.mark.parametrize("server", SHARED_QUEUE_OF_FOUR.values(), ids=SHARED_QUEUE_OF_FOUR.keys())
def test_every_single_wait_behind_one_queue_is_the_ideal_one(server: Server) -> None:
    asked = experiment(server, 4, io=EXPONENTIAL, requests=2_000, utilization=0.9)
    requests = predict(asked).requests
    expected = ideal(requests, 4)
    assert max(expected.wait) > 5 * SERVICE
    assert [row.wait for row in requests] == pytest.approx(list(expected.wait), abs=1e-9)
    assert [row.latency for row in requests] == pytest.approx(list(expected.latency), abs=1e-9)


@pytest.mark.parametrize(
    "service",
    [
        pytest.param(CONSTANT, id="M/D/1"),
        pytest.param(Distribution("lognorm", (SERVICE, 1.0)), id="M/G/1 log-normal"),
        pytest.param(Distribution("bimodal", (0.9, 0.04, 0.14)), id="M/G/1 bimodal"),
    ],
    ids=str,
)
def test_one_thread_is_pollaczek_khinchine(service: Distribution) -> None:
    asked = experiment(Server(worker_class="gthread"), 1, io=service)
    _, wait = predicted(asked)
    expected = theory.mg1_mean_wait(asked.traffic.rate, service.mean, service.second_moment)
    assert_is(wait.mean, expected)


def test_reuse_port_is_a_random_split_into_two_mm2() -> None:
    asked = experiment(Server(workers=2, threads=2, reuse_port=True), 4, io=EXPONENTIAL)
    _, wait = predicted(asked)
    assert_is(wait.mean, theory.mmc_mean_wait(asked.traffic.rate / 2, SERVICE, 2))


def test_the_gil_makes_four_threads_one_server(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever the order in which they compute: exponential demands have no memory. But a response
    # that is done and waits for the GIL once more is no demand.
    monkeypatch.setattr(calls, "SEND_TAKEN_BY_ONE", 0.0)
    monkeypatch.setattr(calls, "SEND_TAKEN_BY_SEVERAL", 0.0)
    asked = experiment(Server(threads=4), 1, cpu=EXPONENTIAL, requests=REQUESTS // 2)
    latency, _ = predicted(asked, here(asked))
    assert_is(latency.mean, theory.mmc_mean_sojourn(asked.traffic.rate, SERVICE, 1))


def test_sync_workers_that_compute_are_as_many_servers_as_there_are_cores() -> None:
    asked = experiment(Server(workers=4), 2, cpu=EXPONENTIAL, requests=REQUESTS // 2)
    latency, _ = predicted(asked)
    assert_is(latency.mean, theory.mmc_mean_sojourn(asked.traffic.rate, SERVICE, 2))


def test_enough_workers_share_the_cores_as_processor_sharing() -> None:
    # Processor sharing is insensitive: only the mean of the demand matters, as if it were M/M/2.
    # Few workers let the others wait their turn, which long demands make longer: between
    # processor sharing and first come, first served, which two workers are.
    def mean(workers: int) -> Estimate:
        return predicted(
            experiment(Server(workers=workers), 2, cpu=UNEQUAL, requests=REQUESTS // 2)
        )[0].mean

    many, four, two = mean(32), mean(4), mean(2)
    rate = 2 * 0.5 / SERVICE
    assert_is(many, theory.mmc_mean_sojourn(rate, SERVICE, 2))
    assert four.low is not None
    assert four.high is not None
    assert two.low is not None
    assert many.value < four.low
    assert four.high < two.low


@pytest.mark.parametrize(
    ("server", "processors"),
    [
        pytest.param(Server(workers=4), 2, id="two cores"),
        pytest.param(Server(workers=1), 1, id="one worker"),
        pytest.param(Server(threads=4), 1, id="one GIL"),
        pytest.param(Server(workers=2, threads=2, worker_connections=2), 2, id="two GILs"),
    ],
)
def test_an_overloaded_server_computes_on_every_processor_that_it_can_use(
    server: Server, processors: int
) -> None:
    asked = experiment(server, processors, cpu=EXPONENTIAL, requests=1_000, utilization=2.0)
    requests = predict(asked).requests
    assert set(requests.outcome) == {OK}
    computing = sum(requests.cpu) / (max(requests.finished) - requests.arrival[0])
    # At the very end the last requests leave a processor without work.
    assert 0.97 * processors < computing <= processors * (1 + 1e-9)


def test_littles_law_joins_the_waits_of_theory_and_the_length_of_the_queue() -> None:
    asked = experiment(Server(worker_class="gthread"), 1, io=EXPONENTIAL)
    summary = summarize(replications(asked, REPLICATIONS))
    inside = next(queue for queue in summary.queues if queue.place == "worker 1")
    assert_is(inside.time_average, theory.mmc_mean_queue(asked.traffic.rate, SERVICE, 1))
