"""The CPU limit against what a quota means, and against queueing theory.

Goal: the server uses what the limit allows and no more, whoever of its threads uses it, and a
CPU-only server with a limit q is a server that is q times as fast.

Method: predictions of seconds, of sync and gthread servers whose requests compute. What each
request costs besides is 0 where theory is asked. Seeds are fixed.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from random import Random

import pytest
from predictions import replications

from sim.analysis.summary import summarize
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.experiment.host import CPU_PERIOD
from sim.model.cpython.gil import Gil
from sim.model.engine.clock import Call, Clock
from sim.model.linux.cpu_limit import PERIOD, CpuLimit
from sim.model.linux.scheduler import Cores, Thread
from sim.model.simulation import predict
from sim.run import CpuStat, Run

#: Nothing costs time; who wins a race stays as it is.
FREE = replace(
    Costs(), **{cost.name: 0.0 for cost in fields(Costs) if not cost.name.startswith("wake_")}
)

#: s of CPU that the kernel may let a core use beyond the quota until it looks: a tick each.
TICK = 1 / 250


def limited(
    limit: float | None,
    server: Server,
    rate: float,
    cpu: str,
    *,
    io: str = "const:0",
    burst: float | None = None,
    seconds: float = 20.0,
    costs: Costs = FREE,
) -> Experiment:
    traffic = Traffic(
        rate=rate,
        io=Distribution.parse(io),
        cpu=Distribution.parse(cpu),
        duration=seconds,
        drain=2000.0,
    )
    return Experiment(server, Host(cpu_limit=limit, cpu_burst=burst), traffic, costs=costs)


def stat(run: Run) -> CpuStat:
    assert run.cpu_stat is not None
    return run.cpu_stat


def used(run: Run) -> float:
    usage = stat(run).usage
    assert usage is not None
    return usage


@pytest.mark.parametrize("limit", [0.05, 0.25, 0.5, 1.0, 1.5])
@pytest.mark.parametrize(
    "server", [Server(workers=4), Server(workers=2, threads=4), Server(workers=3, threads=1)]
)
def test_an_overloaded_server_uses_its_quota_and_no_more(limit: float, server: Server) -> None:
    run = predict(limited(limit, server, 40.0, "const:0.06", seconds=10.0, costs=Costs()))
    demand = math.fsum(run.requests.cpu)
    until = max(run.requests.finished)
    # A period's quota may be left from before the first request, and each core be a tick ahead.
    assert used(run) <= limit * until + limit * PERIOD + 2 * TICK
    # It is overloaded from the first second to the last, where one worker is left alone.
    allowed = limit * until
    assert used(run) >= min(allowed, demand) * (0.97 if limit < 1 else 0.85)
    assert used(run) >= demand


def test_what_is_used_is_conserved_whatever_the_limit() -> None:
    server = Server(workers=2)
    without = limited(10.0, server, 10.0, "exp:0.02", io="exp:0.01")
    demand = used(predict(without))
    assert demand == pytest.approx(math.fsum(predict(without).requests.cpu), abs=0.01)
    for limit in (0.25, 0.5, 1.0):
        run = predict(replace(without, host=replace(without.host, cpu_limit=limit)))
        assert used(run) == pytest.approx(demand, abs=0.01)


def test_a_limit_that_is_never_reached_changes_no_latency() -> None:
    experiment = limited(None, Server(workers=2, threads=4), 30.0, "exp:0.01", costs=Costs())
    without = summarize(predict(experiment, number) for number in range(4))
    much = replace(experiment, host=replace(experiment.host, cpu_limit=100.0))
    with_limit = summarize(predict(much, number) for number in range(4))
    assert without.latency is not None
    assert with_limit.latency is not None
    assert with_limit.latency.mean.value == pytest.approx(without.latency.mean.value, rel=0.05)
    assert with_limit.latency.p95.value == pytest.approx(without.latency.p95.value, rel=0.08)
    assert with_limit.throttling is not None
    assert with_limit.throttling.throttled.value == 0


@pytest.mark.parametrize("limit", [0.25, 0.5, 0.8])
def test_a_limited_server_that_computes_is_so_much_slower(limit: float) -> None:
    """M/D/1 with the service time D / q, where D takes many periods: Pollaczek-Khinchine."""
    service, utilization = 0.6, 0.6
    experiment = limited(
        limit, Server(workers=1), utilization * limit / service, f"const:{service}", seconds=1000.0
    )
    runs = replications(experiment, 10)
    slow = service / limit
    expected = utilization * slow / (2 * (1 - utilization))
    wait = summarize(runs).wait
    assert wait is not None
    assert abs(wait.mean.value - expected) < 4 * (wait.mean.half_width or 0) / 2
    assert wait.mean.value == pytest.approx(expected, rel=0.15)
    # Of the time in which a request computes, 1 - q is throttled, of the one core.
    busy = sum(math.fsum(run.requests.cpu) for run in runs) / limit
    throttled = sum(stat(run).throttled_time for run in runs)
    assert throttled / busy == pytest.approx(1 - limit, rel=0.1)
    # What it uses of its limit is the utilization.
    span = sum(max(run.requests.finished) for run in runs)
    assert sum(map(used, runs)) / (limit * span) == pytest.approx(utilization, rel=0.05)


def test_a_single_core_that_is_always_busy_is_throttled_in_every_period() -> None:
    run = predict(limited(0.3, Server(workers=1), 20.0, "const:0.05", seconds=10.0))
    until = max(run.requests.finished)
    assert stat(run).nr_throttled / stat(run).nr_periods > 0.98
    assert stat(run).nr_periods == pytest.approx(until / CPU_PERIOD, abs=2)
    assert stat(run).throttled_time == pytest.approx(0.7 * until, rel=0.02)


def test_a_burst_saves_what_a_quiet_time_leaves() -> None:
    """Requests of 90 ms, one a second, at half a core: 100 ms of quota come together with it."""
    steady = replace(
        limited(0.5, Server(workers=1), 1.0, "const:0.09", seconds=30.0),
        replications=1,
    )
    steady = replace(steady, traffic=replace(steady.traffic, arrivals="constant"))
    bursting = replace(steady, host=replace(steady.host, cpu_burst=0.05))
    slow, fast = summarize([predict(steady)]), summarize([predict(bursting)])
    assert slow.latency is not None
    assert fast.latency is not None
    # Without: at most 54 ms, then the wait for the next period. With: at once, but for a tick.
    assert slow.latency.p50.value > 0.1
    assert fast.latency.p99.value == pytest.approx(0.09, abs=TICK)
    assert fast.throttling is not None
    assert fast.throttling.throttled.value == 0


def test_workers_share_the_quota() -> None:
    """Two that compute side by side use it up in half the time, and wait for the rest."""
    one = predict(limited(0.5, Server(workers=1), 0.5, "const:0.05", seconds=40.0))
    assert stat(one).throttled_time < 0.1
    two = predict(limited(0.5, Server(workers=2), 40.0, "const:0.05", seconds=5.0))
    until = max(two.requests.finished)
    # Each core computes 25 of 100 ms.
    assert stat(two).throttled_time == pytest.approx(1.5 * until, rel=0.05)


def test_the_period_timer_stops_while_the_server_idles() -> None:
    experiment = limited(0.5, Server(workers=1), 0.1, "const:0.01", seconds=100.0)
    run = predict(experiment)
    # The period of a request, and one that finds nothing used; a few more for nothing.
    assert len(run.requests) <= stat(run).nr_periods <= 4 * len(run.requests)


def test_a_core_returns_what_it_does_not_need() -> None:
    """A core takes 5 ms at once, and gives back all but 1 ms as its last thread sleeps."""
    clock = Clock()
    cores = Cores(clock, Random(1), Costs(), 2, 1)
    limit = CpuLimit(clock, cores, 0.5, 0.0, 250, 0.0)
    first, second = cores.each
    assert limit.enter(first)
    assert limit.runtime == pytest.approx(0.045)
    clock.time = 0.002
    limit.leave(first)
    assert limit.runtime == pytest.approx(0.047)
    assert limit.enter(second)
    assert limit.runtime == pytest.approx(0.042)
    clock.time = 0.0025
    assert limit.enter(first)
    assert limit.runtime == pytest.approx(0.042), "it still has 1 ms"
    assert limit.stat().usage == pytest.approx(0.0025)


def test_what_a_throttled_core_has_used_is_accounted_once() -> None:
    """A tick finds that its runtime is used up; later the thread leaves it, to wait elsewhere."""
    clock = Clock()
    cores = Cores(clock, Random(1), Costs(), 1, 1)
    limit = CpuLimit(clock, cores, 0.05, 0.0, 250, 0.0)
    (core,) = cores.each
    assert limit.enter(core)
    clock.time = 0.008
    assert not limit.look(core)
    clock.time = 0.009
    limit.leave(core)
    assert limit.stat().usage == pytest.approx(0.008)
    assert not limit.enter(core)


def test_what_the_limit_costs_is_not_the_average() -> None:
    """Requests of 20 ms of CPU, at a third of a core: with half a core, and without a limit."""
    half = limited(0.5, Server(workers=2), 1 / 3 / 0.02, "const:0.02", costs=Costs())
    free = replace(half, host=Host())
    slow, fast = summarize(replications(half, 10)), summarize(replications(free, 10))
    assert slow.latency is not None
    assert fast.latency is not None
    assert slow.latency.p50.value < 1.2 * fast.latency.p50.value
    assert slow.latency.p99.value > 5 * fast.latency.p99.value


def test_workers_for_a_node_make_half_a_core_slower() -> None:
    """Two workers, and 2 x cores + 1 of a node with 64 cores."""
    traffic = Traffic(
        rate=20.0,
        duration=20.0,
        io=Distribution("const", (0.01,)),
        cpu=Distribution("const", (0.015,)),
    )
    host = Host(cores=64, clients="remote", cpu_limit=0.5)
    two, many = (
        summarize(replications(Experiment(Server(workers=workers), host, traffic), 3))
        for workers in (2, 129)
    )
    assert two.latency is not None
    assert many.latency is not None
    assert many.latency.mean.value > 2 * two.latency.mean.value
    assert two.memory is not None
    assert many.memory is not None
    assert 35 < many.memory.total / two.memory.total < 45


def throttled_gil() -> tuple[Clock, Gil, list[tuple[str, float]]]:
    """A process that is throttled from 6 ms on, and the threads of which compute 1 ms at 50 ms.

    Its quota is 5 ms in each period, on one core: the debt of 1 ms is paid at 100 ms.
    """
    clock, ended = Clock(), list[tuple[str, float]]()
    cores = Cores(clock, Random(1), Costs(), 1, 1)
    gil = Gil(clock, cores, Random(1), CpuLimit(clock, cores, 0.05, 0.0, 250, 0.0))

    def end(name: str) -> None:
        ended.append((name, clock.time))

    gil.compute(0.006, end, "first")
    for number, name in enumerate(("second", "third")):
        thread = Thread(cores.home())
        begin = Call(clock, lambda _, n=name, t=thread: gil.compute(0.001, end, n, t))  # type: ignore[misc]
        begin.after(0.05 + number / 1000)
    return clock, gil, ended


def test_threads_that_wake_up_while_their_process_is_throttled_wait_for_one_refill() -> None:
    clock, _, ended = throttled_gil()
    clock.run_until(clock.timeout(0.3))
    assert [name for name, _ in ended] == ["first", "second", "third"]
    assert [time for _, time in ended] == pytest.approx([0.006, 0.101, 0.102], abs=0.0005)


def test_a_process_that_ends_while_it_is_throttled_computes_no_more() -> None:
    clock, gil, ended = throttled_gil()
    clock.run_until(clock.timeout(0.07))
    gil.end_process()
    clock.run_until(clock.timeout(0.3))
    assert [name for name, _ in ended] == ["first"]
