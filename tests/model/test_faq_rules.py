"""Rules of thumb for workers and threads, tried against the simulator."""

from __future__ import annotations

from itertools import accumulate

import pytest

from sim.analysis.summary import Summary, summarize
from sim.analysis.theory import erlang_c
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict

CORES = 2
NOTHING = Distribution("const", (0.0,))


def predicted(server: Server, traffic: Traffic, replications: int = 3) -> Summary:
    experiment = Experiment(server, Host(cores=CORES), traffic)
    return summarize(predict(experiment, number) for number in range(replications))


def mean(summary: Summary) -> float:
    assert summary.latency is not None
    return summary.latency.mean.value


def p95(summary: Summary) -> float:
    assert summary.latency is not None
    return summary.latency.p95.value


def gthread(workers: int, threads: int) -> Server:
    return Server(workers=workers, threads=threads, worker_class="gthread", preload_app=True)


@pytest.mark.parametrize(("workers", "threads", "most"), [(4, 2, 8), (2, 4, 8), (4, 4, 16)])
def test_the_options_run_as_many_requests_as_they_say(
    workers: int, threads: int, most: int
) -> None:
    flood = Traffic(rate=1000.0, requests=200, io=Distribution("const", (0.1,)))
    rows = predict(Experiment(gthread(workers, threads), traffic=flood)).requests
    steps = [(row.started, 1) for row in rows] + [(row.started + row.io, -1) for row in rows]
    assert max(accumulate(change for _, change in sorted(steps))) == most


def test_equal_options_are_not_equal() -> None:
    # Nearer to the capacity it depends on how uneven the shares of two workers are at that hour.
    load = Traffic(rate=90.0, requests=3_000, io=Distribution("exp", (0.05,)))
    few_queues, many_queues = (
        predicted(gthread(workers, threads), load) for workers, threads in ((2, 4), (4, 2))
    )
    assert mean(few_queues) < 0.95 * mean(many_queues)


@pytest.mark.parametrize("rate", [50.0, 80.0])
def test_workers_beyond_the_cores_serve_no_more_that_computes(rate: float) -> None:
    """(2 x cores) + 1 sync workers against one for each core."""
    load = Traffic(rate=rate, requests=2_000, io=NOTHING, cpu=Distribution("exp", (0.02,)))
    rule = predicted(Server(workers=2 * CORES + 1, preload_app=True), load)
    cores = predicted(Server(workers=CORES, preload_app=True), load)
    assert rule.throughput is not None
    assert cores.throughput is not None
    assert rule.throughput.value == pytest.approx(cores.throughput.value, rel=0.02)
    # What there is to gain is the sharing of a core by turns: little, and not for the slowest.
    assert mean(rule) > 0.9 * mean(cores)
    assert p95(rule) > 0.95 * p95(cores)


def test_threads_for_io_follow_from_rate_and_time() -> None:
    """2 to 4 workers of 2 to 4 threads: from too few to plenty, for one and the same load."""
    seconds = 0.05
    io = Distribution("exp", (seconds,))
    for rate, workers, threads, enough in (
        (100.0, 2, 2, False),
        (100.0, 4, 4, True),
        (20.0, 2, 2, True),
        (400.0, 4, 4, False),
    ):
        needed = rate * seconds  # Little's law: requests in service.
        assert (needed < workers * threads) is enough
        load = Traffic(rate=rate, requests=int(30 * rate), io=io)
        wait = mean(predicted(gthread(workers, threads), load)) - seconds
        # A queue that does not settle grows with the run.
        assert (wait < 2 * seconds) is enough
    assert erlang_c(4, 20.0 * seconds) < 0.05
