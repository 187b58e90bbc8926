"""Worker classes with an event loop: queueing theory, and what a callback holds up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from event_loops import ROUNDING, TO_WORKER, events, mean_latency, outcomes, traced
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import FREE, troubled

from sim.experiment import Experiment, Host, Proxy, Server, Traffic, WorkerClass
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Crash, Hang, Signal
from sim.experiment.endpoint import ENDPOINTS, Endpoint
from sim.model.cpython.event_loop import EPOLL_TICK
from sim.model.simulation import predict

SERVICE = 0.05

NOTHING = Distribution("const", (0.0,))
DEMANDS = {
    "exponential": Distribution("exp", (SERVICE,)),
    "constant": Distribution("const", (SERVICE,)),
    "unequal": Distribution("bimodal", (0.9, 0.025, 0.275)),
}

#: Squared coefficients of variation of `DEMANDS`.
VARIATION = {"exponential": 1.0, "constant": 0.0, "unequal": 2.25}

UTILIZATION = 0.5

GEVENT = Server(worker_class="gevent")

LOOPS: tuple[WorkerClass, ...] = ("gevent", "asgi", "uvicorn")


def experiment(
    worker_class: WorkerClass, io: Distribution, cpu: Distribution, blocking_io: float = 0.0
) -> Experiment:
    traffic = Traffic(
        rate=UTILIZATION / SERVICE,
        requests=3000,
        io=io,
        cpu=cpu,
        drain=600.0,
        blocking_io=blocking_io,
    )
    server = Server(worker_class=worker_class)
    return Experiment(server, Host(clients="remote"), traffic, costs=FREE)


def pollaczek_khinchine(name: str) -> float:
    """Mean latency of M/G/1, first come first served, s."""
    return SERVICE + UTILIZATION / (1 - UTILIZATION) * SERVICE * (1 + VARIATION[name]) / 2


@pytest.mark.parametrize("name", DEMANDS)
@pytest.mark.parametrize("worker_class", LOOPS)
def test_requests_that_compute_are_one_queue_of_one_server(
    worker_class: WorkerClass, name: str
) -> None:
    low, high = mean_latency(experiment(worker_class, NOTHING, DEMANDS[name]))
    assert low <= pollaczek_khinchine(name) <= high


@pytest.mark.parametrize("worker_class", LOOPS)
def test_so_are_requests_that_block(worker_class: WorkerClass) -> None:
    low, high = mean_latency(experiment(worker_class, DEMANDS["exponential"], NOTHING, 1.0))
    assert low <= pollaczek_khinchine("exponential") <= high


#: Three kept connections, all of which are in use again when one computes from 1.1 s on.
KEPT = ((0.0, 0.05, 0.0),) * 3


def kept(worker_class: WorkerClass, *rows: tuple[float, float, float]) -> list[float]:
    """When each of the ``rows`` is answered, which come on kept connections, s."""
    asked = traced(Server(worker_class=worker_class), *KEPT, *rows, connection="keepalive")
    return [row.finished for row in predict(asked).requests][len(KEPT) :]


@pytest.mark.parametrize(
    ("worker_class", "answered"), [("gevent", 3.1), ("asgi", 3.1), ("uvicorn", 2.5)]
)
def test_what_has_slept_goes_on_before_or_after_what_has_come(
    worker_class: WorkerClass, answered: float
) -> None:
    """From 1.1 to 1.7 s one computes. Another has slept by then, and a third has come.

    gevent runs timers before sockets, and the third begins its I/O when the other has computed.
    asyncio does it the other way round; but with Gunicorn's own worker a request takes a turn more
    from its socket to the application than another takes from its timer.
    """
    rows = (1.0, 0.2, 0.6), (1.1, 0.0, 0.6), (1.5, 0.8, 0.0)
    assert kept(worker_class, *rows) == pytest.approx([2.3, 1.7, answered], abs=0.002)


@pytest.mark.parametrize(
    ("worker_class", "order"), [("gevent", [2, 1]), ("asgi", [1, 2]), ("uvicorn", [1, 2])]
)
def test_requests_that_came_meanwhile_are_begun_in_the_loops_order(
    worker_class: WorkerClass, order: list[int]
) -> None:
    """In libev's, what became ready first runs last."""
    finished = kept(worker_class, (1.0, 0.0, 0.6), (1.2, 0.0, 0.1), (1.4, 0.0, 0.1))
    assert sorted((1, 2), key=lambda number: finished[number]) == order


@pytest.mark.parametrize("name", DEMANDS)
@pytest.mark.parametrize("worker_class", LOOPS)
def test_requests_that_wait_hold_up_nobody(worker_class: WorkerClass, name: str) -> None:
    """M/G/infinity; a loop sleeps for whole milliseconds."""
    low, high = mean_latency(experiment(worker_class, DEMANDS[name], NOTHING))
    assert low <= SERVICE + EPOLL_TICK
    assert high >= SERVICE


def test_requests_are_served_in_the_order_in_which_they_came() -> None:
    run = predict(traced(GEVENT, (0, 0, 1.0), (0.1, 0, 0.5), (0.2, 0, 0.25), (0.3, 0.01, 0.25)))
    finished = [row.finished for row in run.requests]
    # The last has slept while the others computed, once it was accepted.
    assert finished == pytest.approx([1.0, 1.5, 1.75, 2.01])


def test_a_worker_holds_no_more_connections_than_it_may() -> None:
    limited = replace(GEVENT, worker_connections=2)
    run = predict(traced(limited, (0, 1.0, 0), (0, 1.0, 0), (0.1, 1.0, 0), (0.2, 1.0, 0)))
    assert [row.finished for row in run.requests] == pytest.approx([1.0, 1.0, 2.0, 2.0])


def test_one_worker_accepts_a_batch_and_several_one_each() -> None:
    """`max_accept` is 100 in a lone worker: what comes while it computes is all its own."""
    rows = ((0, 0, 0.5), (0, 0, 0.5), *((0.1 + 0.001 * number, 0, 0.1) for number in range(4)))
    run = predict(traced(replace(GEVENT, workers=2), *rows))
    assert {row.worker for row in list(run.requests)[2:]} == {1, 2}
    assert max(row.finished for row in run.requests) == pytest.approx(0.7)


def test_a_request_that_computes_past_the_timeout_is_lost_alone() -> None:
    """SIGABRT is an exception in that request: the worker stops, and finishes what it holds."""
    asked = traced(replace(GEVENT, timeout=3), (0, 6.0, 0), (0.1, 0, 8.0), (2.0, 0, 0))
    run = predict(asked)
    waiting, computing, third = run.requests
    ((timeout, worker),) = events(run, "timeout")
    assert worker == "worker 1"
    # It heartbeats once a second, the last time before the request began.
    assert 2.1 < timeout <= 4.2
    assert [computing.outcome, waiting.outcome] == ["reset", "ok"]
    assert [computing.finished, waiting.finished] == pytest.approx([timeout, 6.0], abs=0.01)
    # Nobody accepts until the worker that replaces it has booted.
    assert third.worker == 2


def test_a_request_that_hangs_is_noticed_by_nobody() -> None:
    asked = replace(
        traced(replace(GEVENT, timeout=1), (1.0, 0.1, 0), (1.1, 0.1, 0)),
        disturbances=(Hang(0.5, worker=1, threads=1, seconds=20.0),),
    )
    run = predict(asked)
    assert [row.finished for row in run.requests] == pytest.approx([21.1, 1.2])
    assert not events(run, "timeout")


def test_it_stops_when_it_next_looks_and_serves_until_then() -> None:
    """SIGTERM is seen by `run()`, which looks once a second, and then closes the listener."""
    server = replace(GEVENT, workers=2)
    rows = ((0.0, 3.0, 0), *((1.0 + number / 20, 0, 0) for number in range(80)))
    asked = replace(traced(server, *rows), disturbances=(Signal(1.01, to="worker", signal="TERM"),))
    run = predict(asked)
    assert all(row.outcome == "ok" for row in run.requests)
    later = [row.arrival for row in run.requests if row.worker == 1 and row.arrival > 1.01]
    assert later
    assert max(later) < 2.02
    held = run.requests[0].worker == 1
    ((exiting, _),) = events(run, "exiting")
    assert exiting == pytest.approx(3.5 if held else 1.5, abs=0.6)


def test_graceful_timeout_ends_the_wait() -> None:
    server = replace(GEVENT, graceful_timeout=2)
    asked = replace(
        traced(server, (0.5, 30.0, 0)), disturbances=(Signal(1.0, to="worker", signal="TERM"),)
    )
    run = predict(asked)
    (row,) = run.requests
    assert row.outcome == "reset"
    # It looks within a second, waits so long and a second longer, and kills what is left.
    assert 1.0 + 2.0 + 1.0 <= row.finished <= 1.0 + 2.0 + 3.0


def test_max_requests_closes_kept_connections() -> None:
    server = replace(GEVENT, max_requests=2)
    rows = tuple((number / 10, 0, 0) for number in range(4))
    run = predict(traced(server, *rows, connection="keepalive"))
    assert all(row.outcome == "ok" for row in run.requests)
    assert events(run, "max_requests")


def test_a_crash_loses_all_that_the_worker_held() -> None:
    asked = replace(
        traced(GEVENT, (0.0, 5.0, 0), (0.1, 5.0, 0), (1.0, 0, 0), (1.5, 0, 0)),
        disturbances=(Crash(0.5, worker=1),),
    )
    outcomes = [row.outcome for row in predict(asked).requests]
    assert outcomes == ["reset", "reset", "reset", "ok"]


def test_idle_connections_are_closed_after_keepalive() -> None:
    rows = ((0.0, 0, 0), (1.9, 0, 0), (5.0, 0, 0))
    run = predict(traced(GEVENT, *rows, connection="keepalive"))
    assert [row.outcome for row in run.requests] == ["ok"] * 3
    silent = Distribution("const", (3.0,))
    # A new connection has `keepalive` s too, for `timeout_ctx()` is around its first request.
    run = predict(traced(GEVENT, (0.0, 0, 0), first_byte=silent))
    assert [row.outcome for row in run.requests] == ["reset"]


def on_event_loops(
    asked: Experiment, worker_class: WorkerClass, endpoint: Endpoint, blocking_io: float
) -> Experiment:
    return replace(
        asked,
        server=replace(asked.server, worker_class=worker_class, threads=1),
        traffic=replace(asked.traffic, endpoint=endpoint, blocking_io=blocking_io),
    )


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    st.builds(
        on_event_loops,
        troubled,
        st.sampled_from(LOOPS),
        st.sampled_from(ENDPOINTS),
        st.sampled_from([0.0, 0.0, 0.5, 1.0]),
    )
)
def test_whatever_goes_wrong_every_request_has_one_outcome(asked: Experiment) -> None:
    run = predict(asked)
    for row in run.requests:
        assert row.outcome != "error_5xx"
        if row.outcome == "ok":
            assert row.worker > 0
            assert row.started + row.io + row.cpu <= row.finished + ROUNDING
    times = [event.time for event in run.events]
    assert times == sorted(times)
    births = {event.process for event in run.events if event.kind == "fork"}
    assert {f"worker {row.worker}" for row in run.requests if row.worker} <= births


def test_an_abort_in_the_hub_ends_the_process() -> None:
    """No request computes: `SystemExit` is thrown into the main greenlet."""
    asked = replace(traced(GEVENT, (0.0, 5.0, 0), (2.0, 0, 0)), disturbances=(TO_WORKER["ABRT"],))
    assert outcomes(asked) == ["reset", "ok"]


def test_an_aborted_request_keeps_its_connection() -> None:
    """`handle()` waits for the next request on it, and closes it after `keepalive` s."""
    asked = traced(replace(GEVENT, timeout=1), (0.0, 0, 8.0), connection="keepalive")
    run = predict(asked)
    ((timeout, _),) = events(run, "timeout")
    (row,) = run.requests
    assert row.outcome == "reset"
    assert row.finished == pytest.approx(timeout + GEVENT.keepalive, abs=0.01)


@pytest.mark.parametrize("signal", ["QUIT", "INT"])
def test_a_quick_stop_loses_what_waits(signal: str) -> None:
    """`handle_quit()` sleeps 0.1 s in a greenlet, so requests are served meanwhile."""
    asked = replace(
        traced(GEVENT, (0.0, 5.0, 0), (1.05, 0, 0), (2.0, 0, 0)),
        disturbances=(TO_WORKER[signal], replace(TO_WORKER[signal], at=1.09)),
    )
    run = predict(asked)
    assert [(row.outcome, row.worker) for row in run.requests] == [
        ("reset", 1),
        ("ok", 1),
        ("ok", 2),
    ]


def test_a_worker_without_a_master_leaves_when_it_next_looks() -> None:
    killed = Signal(1.0, to="master", signal="KILL")
    run = predict(replace(traced(GEVENT, (0.0, 5.0, 0), (1.0, 0, 0)), disturbances=(killed,)))
    ((orphaned, _),) = events(run, "orphaned")
    assert 1.0 <= orphaned <= 2.0
    assert [row.outcome for row in run.requests] == ["reset", "ok"]


def test_a_stopped_worker_goes_on_where_it_was() -> None:
    asked = replace(
        traced(replace(GEVENT, timeout=0), (0.5, 0, 1.0), (1.5, 0.1, 0)),
        disturbances=(TO_WORKER["STOP"], replace(TO_WORKER["CONT"], at=3.0)),
    )
    finished = [row.finished for row in predict(asked).requests]
    assert finished == pytest.approx([3.5, 3.6])
    idle = replace(
        traced(replace(GEVENT, timeout=0), (1.5, 0.1, 0)), disturbances=asked.disturbances
    )
    assert [row.finished for row in predict(idle).requests] == pytest.approx([3.1])


def test_a_worker_that_boots_without_a_master_leaves_at_once() -> None:
    asked = replace(
        traced(GEVENT, (0.0, 5.0, 0), (1.0, 0, 0)),
        costs=replace(FREE, import_app=1.0),
        disturbances=(Crash(0.0, worker=1), Signal(0.5, to="master", signal="KILL")),
    )
    run = predict(asked)
    ((orphaned, name),) = events(run, "orphaned")
    assert name == "worker 2"
    assert orphaned == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("signal", ["TERM", "QUIT", "ABRT"])
def test_signals_reach_a_worker_that_boots(signal: str) -> None:
    """It imports the application for a second; worker 3 serves in its place."""
    asked = replace(
        traced(GEVENT, (0.0, 5.0, 0), (1.0, 0, 0)),
        costs=replace(FREE, import_app=1.0),
        disturbances=(Crash(0.0, worker=1), Signal(0.5, to="worker", signal=signal, worker=2)),
    )
    run = predict(asked)
    assert [row.outcome for row in run.requests] == ["reset", "ok"]
    assert run.requests[1].worker == 3


def test_a_client_may_close_what_was_kept() -> None:
    """A proxy closes its idle connections after a second, and Gunicorn would after two."""
    asked = replace(
        traced(GEVENT, (0.0, 0, 0), (1.5, 0, 0), (4.0, 0, 0)),
        proxy=Proxy(kind="nginx", keepalive=4, idle_timeout=1.0),
    )
    assert outcomes(asked) == ["ok"] * 3


def test_requests_on_kept_connections_are_served_in_turn() -> None:
    rows = ((0.0, 0.01, 0.2), (0.3, 0.01, 0.2), (0.35, 0, 0.1), (0.9, 0.01, 0))
    run = predict(traced(replace(GEVENT, keepalive=5), *rows, connection="keepalive"))
    assert [row.outcome for row in run.requests] == ["ok"] * 4
    finished = [row.finished for row in run.requests]
    # The second sleeps as the third comes, which computes first if it is accepted by then.
    assert finished == pytest.approx([0.21, 0.51, 0.61, 0.91])


@pytest.mark.parametrize("worker_class", ["gevent", "asgi", "uvicorn"])
def test_of_many_at_once_only_the_first_is_accepted_cold(worker_class: WorkerClass) -> None:
    costs = replace(FREE, accept=0.01, cached=0.5, cached_elsewhere=1.0, eviction=1e6)
    rows = ((0.0, 0.0, 0.0),) * 4
    asked = replace(traced(Server(worker_class=worker_class), *rows), costs=costs)
    accepted = [row.accepted for row in predict(asked).requests]
    # At the moment at which `accept(2)` begins.
    assert accepted == pytest.approx([0.0, 0.01, 0.015, 0.02], abs=0.002)
