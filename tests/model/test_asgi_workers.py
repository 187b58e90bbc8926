"""Workers with asyncio's loop: what each does in trouble, and what plain functions cost.

Goal: hold `asgi` and uvicorn's worker to their sources. Method: a handful of requests by the
moment, where no step of Gunicorn's costs time, so that each moment can be told in advance.
"""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median
from typing import Literal

import pytest
from event_loops import TO_WORKER, events, outcomes, sent_at_once, traced
from strategies import FREE

from sim.experiment import Experiment, Host, Route, Server, Traffic, WorkerClass
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Crash, Disturbance, Hang, Signal
from sim.experiment.endpoint import TOTAL_TOKENS
from sim.experiment.worker_class import ASYNCIO_BACKLOG
from sim.model.simulation import predict
from sim.run.arrivals import schedule

CLASSES: tuple[WorkerClass, ...] = ("asgi", "uvicorn")
ASGI, UVICORN = (Server(worker_class=name) for name in CLASSES)

both = pytest.mark.parametrize("server", [ASGI, UVICORN], ids=CLASSES)


# Connections.


@both
def test_nothing_limits_its_connections(server: Server) -> None:
    limited = replace(server, worker_connections=1)
    run = predict(traced(limited, *((0.0, 1.0, 0.0) for _ in range(50))))
    assert [row.finished for row in run.requests] == pytest.approx([1.0] * 50, abs=0.002)


def test_only_uvicorn_listens_with_the_backlog_that_is_asked_for() -> None:
    """Both compute for 2 s while 150 connect; asyncio's default makes room for 101."""
    queued = {}
    for server in (ASGI, UVICORN):
        run = predict(traced(server, (0.0, 0.0, 2.0), *((1.0, 0.0, 0.0) for _ in range(150))))
        queued[server.worker_class] = run.queues[0].largest
        assert {row.outcome for row in run.requests} == {"ok"}
    assert queued == {"asgi": ASYNCIO_BACKLOG + 1, "uvicorn": 150}


@both
def test_a_worker_takes_all_that_has_queued(server: Server) -> None:
    """The first that is free accepts until EAGAIN, also where there are several."""
    rows = ((0.0, 0.0, 0.5), (0.0, 0.0, 0.6), *((0.1, 0.0, 0.01) for _ in range(20)))
    run = predict(traced(replace(server, workers=2), *rows))
    (first,) = {row.worker for row in list(run.requests)[2:]}
    assert first == run.requests[0].worker


@both
def test_idle_connections_expire(server: Server) -> None:
    """What the client uses within `keepalive` s is kept, and a silent one is kept for ever."""
    rows = ((0.0, 0, 0), (1.9, 0, 0), (5.0, 0, 0))
    assert outcomes(traced(server, *rows, connection="keepalive")) == ["ok"] * 3
    silent = Distribution("const", (30.0,))
    assert outcomes(traced(server, (0.0, 0, 0), first_byte=silent)) == ["ok"]


@both
def test_a_keepalive_of_0_closes_after_the_response(server: Server) -> None:
    rows = tuple((number / 2, 0.01, 0) for number in range(4))
    asked = traced(replace(server, keepalive=0), *rows, connection="keepalive")
    assert outcomes(asked) == ["ok"] * 4


def test_a_request_that_is_there_when_a_late_timer_is_due_cancels_uvicorns_alone() -> None:
    """The loop computes from 0.9 to 1.9 s for one of two kept connections.

    The timer of the other is due at 1 s, and its request comes at 1.5. Gunicorn's own worker
    cancels its timer a turn after it has read the request.
    """
    rows = ((0.0, 0.0, 0.0), (0.0, 0.01, 0.0), (0.9, 0.0, 1.0), (1.5, 0.0, 0.0))
    for server, expected in ((UVICORN, "ok"), (ASGI, "reset")):
        asked = traced(replace(server, keepalive=1), *rows, connection="keepalive")
        assert outcomes(asked) == ["ok", "ok", "ok", expected]


def test_a_client_is_not_told_that_uvicorn_closes_as_it_stops() -> None:
    """It stops while the first of two requests waits for 2 s."""
    for server, last in ((UVICORN, "reset"), (ASGI, "ok")):
        asked = sent_at_once(server, 2, io=Distribution("const", (2.0,)))
        stopped = replace(asked, disturbances=(TO_WORKER["TERM"],))
        assert outcomes(stopped) == ["ok", last]


# Uvicorn's limit.


def limited(limit: int, *rows: tuple[float, float, float], **traffic: object) -> list[str]:
    return outcomes(traced(replace(UVICORN, limit_concurrency=limit), *rows, **traffic))


def test_uvicorn_answers_503_beyond_its_limit_and_closes() -> None:
    """The request's own connection counts: a limit of 3 lets two run beside each other."""
    rows = ((0.0, 1.0, 0), (0.1, 1.0, 0), (0.3, 1.0, 0), (0.5, 0.0, 0), (1.5, 1.0, 0))
    assert limited(3, *rows) == ["ok", "ok", "error_5xx", "error_5xx", "ok"]
    assert limited(4, *rows) == ["ok", "ok", "ok", "error_5xx", "ok"]
    assert limited(1, *rows) == ["error_5xx"] * 5


def test_idle_kept_connections_count_too() -> None:
    rows = ((0.0, 0.1, 0), (0.0, 0.1, 0), *((0.5, 0.1, 0) for _ in range(3)))
    kept = limited(3, *rows, connection="keepalive")
    assert kept == ["ok", "ok", "ok", "ok", "error_5xx"]
    # The two idle connections leave no room for the request of another client.
    other = limited(2, (0.0, 0.1, 0), (0.5, 0.4, 0), (0.6, 0, 0), connection="keepalive")
    assert other == ["ok", "ok", "error_5xx"]


def test_a_request_whose_client_has_left_counts_as_a_request() -> None:
    """Its connection is gone, and its task goes on: it is one of two, as its connection was."""
    asked = traced(
        replace(UVICORN, limit_concurrency=2),
        *((0.0, 3.0, 0), (1.0, 0, 0), (1.5, 0, 0), (3.5, 0, 0)),
        timeout=0.5,
    )
    assert outcomes(asked) == ["timeout", "ok", "ok", "ok"]
    twice = traced(
        replace(UVICORN, limit_concurrency=2),
        *((0.0, 3.0, 0), (1.0, 3.0, 0), (2.0, 0, 0), (4.5, 0, 0)),
        timeout=0.5,
    )
    assert outcomes(twice) == ["timeout", "timeout", "error_5xx", "ok"]


def test_a_503_counts_for_max_requests() -> None:
    server = replace(UVICORN, limit_concurrency=1, max_requests=2)
    asked = traced(server, (0.0, 0, 0), (0.5, 0, 0), (2.0, 0, 0))
    assert len(events(predict(asked), "max_requests")) == 1


def test_gunicorns_own_asgi_worker_has_no_such_limit() -> None:
    rows = tuple((0.0, 1.0, 0) for _ in range(5))
    assert outcomes(traced(replace(ASGI, limit_concurrency=2), *rows)) == ["ok"] * 5


# The heartbeat.


@pytest.mark.parametrize("busy", ["computes", "blocks"])
def test_an_asgi_worker_that_is_busy_for_the_timeout_is_killed(busy: str) -> None:
    """SIGABRT is a callback of the loop: the process ends by SIGKILL, a second later."""
    times = (0.0, 8.0) if busy == "computes" else (8.0, 0.0)
    asked = traced(replace(ASGI, timeout=3), (0.5, *times), (1.0, 0.0, 0.0), blocking_io=1.0)
    run = predict(asked)
    ((timeout, _),) = events(run, "timeout")
    ((gone, _),) = events(run, "exit")
    # It heartbeats once a second, the last time before the request began.
    assert 2.4 < timeout <= 4.6
    assert timeout + 0.9 <= gone <= timeout + 1.2
    assert [row.outcome for row in run.requests] == ["reset", "ok"]


@both
def test_all_that_a_killed_worker_held_is_lost(server: Server) -> None:
    rows = ((0.0, 20.0, 0.0), (0.2, 20.0, 0.0), (0.5, 0.0, 8.0))
    run = predict(traced(replace(server, timeout=3), *rows))
    assert [row.outcome for row in run.requests] == ["reset"] * 3


def test_a_uvicorn_worker_may_be_killed_after_half_the_timeout() -> None:
    """It heartbeats when the last one is older than half of it: 5.5 s may be too long for 8 s."""
    killed, spared = (
        events(predict(traced(replace(UVICORN, timeout=8), (at, 0.0, 5.5))), "timeout")
        for at in (4.5, 0.2)
    )
    assert len(killed) == 1
    assert not spared
    # Nothing of the kind happens to Gunicorn's own.
    assert not events(predict(traced(replace(ASGI, timeout=8), (4.5, 0.0, 5.5))), "timeout")


def test_sigabrt_ends_a_uvicorn_worker_at_once() -> None:
    run = predict(traced(replace(UVICORN, timeout=2), (0.5, 30.0, 0), (1.0, 0.0, 9.0)))
    ((timeout, _),) = events(run, "timeout")
    assert [row.outcome for row in run.requests] == ["reset", "reset"]
    assert run.requests[1].finished == pytest.approx(timeout, abs=0.05)


@both
def test_a_hang_of_one_request_is_noticed_by_nobody(server: Server) -> None:
    asked = replace(
        traced(replace(server, timeout=2), (1.0, 0.1, 0), (1.1, 0.1, 0)),
        disturbances=(Hang(0.5, worker=1, threads=1, seconds=20.0),),
    )
    run = predict(asked)
    assert [row.finished for row in run.requests] == pytest.approx([21.1, 1.2], abs=0.002)
    assert not events(run, "timeout")


# Signals.


def test_an_asgi_worker_that_stops_waits_for_every_connection() -> None:
    """An idle kept connection holds it until `keepalive` is over, and nobody heartbeats."""
    asked = traced(replace(ASGI, keepalive=4), (0.5, 0.1, 0), connection="keepalive")
    run = predict(replace(asked, disturbances=(TO_WORKER["TERM"],)))
    # The run is over before, unless something else is to come.
    assert [row.outcome for row in run.requests] == ["ok"]
    longer = traced(
        replace(ASGI, keepalive=4), (0.5, 0.1, 0), (9.0, 0.1, 0), connection="keepalive"
    )
    run = predict(replace(longer, disturbances=(TO_WORKER["TERM"],)))
    ((exiting, name),) = events(run, "exiting")
    assert name == "worker 1"
    assert 4.6 <= exiting <= 4.9
    assert [row.outcome for row in run.requests] == ["ok", "ok"]


def test_a_uvicorn_worker_that_stops_closes_idle_connections() -> None:
    rows = ((0.5, 0.1, 0), (0.9, 0.5, 0), (9.0, 0.1, 0))
    asked = traced(replace(UVICORN, keepalive=60), *rows, connection="keepalive")
    run = predict(replace(asked, disturbances=(TO_WORKER["TERM"],)))
    assert [row.outcome for row in run.requests] == ["ok"] * 3
    ((gone, name),) = events(run, "exit")
    assert name == "worker 1"
    assert 1.4 <= gone <= 1.7
    # It dies by the signal that it has captured, and not by Python's own end.
    assert not events(run, "exiting")


def test_graceful_timeout_ends_the_wait_of_asgi_only() -> None:
    gone = {}
    for server in (ASGI, UVICORN):
        asked = traced(replace(server, graceful_timeout=2), (0.5, 9.0, 0), (12.0, 0, 0))
        run = predict(replace(asked, disturbances=(TO_WORKER["TERM"],)))
        gone[server.worker_class] = run.requests[0].outcome
    assert gone == {"asgi": "reset", "uvicorn": "ok"}


@both
def test_who_stops_does_not_heartbeat(server: Server) -> None:
    """A request that takes longer than `timeout` after a SIGTERM is lost."""
    asked = traced(replace(server, timeout=4), (0.5, 9.0, 0), (12.0, 0, 0))
    run = predict(replace(asked, disturbances=(TO_WORKER["TERM"],)))
    assert [row.outcome for row in run.requests] == ["reset", "ok"]
    ((timeout, _),) = events(run, "timeout")
    assert 3.0 <= timeout <= 7.0


@pytest.mark.parametrize("signal", ["QUIT", "INT"])
def test_a_quick_stop_loses_what_an_asgi_worker_holds(signal: str) -> None:
    asked = traced(ASGI, (0.5, 5.0, 0), (4.0, 0, 0))
    run = predict(replace(asked, disturbances=(TO_WORKER[signal],)))
    assert [row.outcome for row in run.requests] == ["reset", "ok"]
    assert 1.0 <= run.requests[0].finished <= 2.1


def test_a_uvicorn_worker_lives_on_after_sigquit_and_waits_not_at_a_second_sigint() -> None:
    asked = traced(UVICORN, (0.5, 5.0, 0), (8.0, 0, 0))
    lives_on = predict(replace(asked, disturbances=(TO_WORKER["QUIT"],)))
    assert [(row.outcome, row.worker) for row in lives_on.requests] == [("ok", 1), ("ok", 1)]
    twice = (TO_WORKER["INT"], replace(TO_WORKER["INT"], at=1.5))
    assert outcomes(replace(asked, disturbances=twice)) == ["reset", "ok"]


def test_an_abort_in_an_idle_loop() -> None:
    """Both lose what they hold: Gunicorn's own when the loop comes round, which is at once."""
    for server in (ASGI, UVICORN):
        asked = traced(server, (0.5, 5.0, 0), (3.0, 0, 0))
        run = predict(replace(asked, disturbances=(TO_WORKER["ABRT"],)))
        assert [row.outcome for row in run.requests] == ["reset", "ok"]
        assert run.requests[0].finished == pytest.approx(1.0, abs=0.2)


def test_only_an_asgi_worker_sees_that_its_master_is_gone() -> None:
    killed = Signal(1.0, to="master", signal="KILL")
    for server, orphaned in ((ASGI, 1), (UVICORN, 0)):
        asked = traced(server, (0.5, 3.0, 0), (1.0, 0, 0), (6.0, 0, 0))
        run = predict(replace(asked, disturbances=(killed,)))
        assert len(events(run, "orphaned")) == orphaned
        last = "refused" if orphaned else "ok"
        assert [row.outcome for row in run.requests] == ["ok", "ok", last]


@pytest.mark.parametrize("signal", ["TERM", "QUIT", "INT", "ABRT"])
@both
def test_signals_reach_a_worker_that_boots(server: Server, signal: str) -> None:
    """It imports the application for a second; another one serves in its place."""
    asked = replace(
        traced(server, (0.0, 0.1, 0), (3.0, 0, 0)),
        costs=replace(FREE, import_app=1.0),
        disturbances=(
            Signal(0.5, to="worker", signal="KILL"),
            Signal(1.0, to="worker", signal=signal, worker=2),
        ),
    )
    run = predict(asked)
    assert [row.outcome for row in run.requests] == ["ok", "ok"]
    assert run.requests[1].worker == 3


@both
def test_a_stopped_worker_goes_on_where_it_was(server: Server) -> None:
    asked = replace(
        traced(replace(server, timeout=0), (0.5, 0, 1.0), (1.5, 0.1, 0)),
        disturbances=(TO_WORKER["STOP"], replace(TO_WORKER["CONT"], at=3.0)),
    )
    finished = [row.finished for row in predict(asked).requests]
    assert finished == pytest.approx([3.5, 3.6], abs=0.002)


# max_requests.


@both
def test_max_requests_counts_responses(server: Server) -> None:
    """It is seen when the main loop next looks; until then the worker serves on."""
    rows = tuple((0.55 + number / 10, 0.01, 0) for number in range(60))
    run = predict(traced(replace(server, max_requests=5), *rows))
    assert {row.outcome for row in run.requests} == {"ok"}
    reached = [time for time, name in events(run, "max_requests") if name == "worker 1"]
    assert reached
    served = sum(row.worker == 1 for row in run.requests)
    if server is UVICORN:
        # It looks ten times a second.
        assert 5 <= served <= 7
    else:
        assert 5 <= served <= 16


# Plain functions.


def functions(server: Server, *rows: tuple[float, float, float], **traffic: object) -> Experiment:
    return traced(server, *rows, endpoint="def", **traffic)


@both
def test_plain_functions_run_in_40_threads(server: Server) -> None:
    run = predict(functions(server, *((0.0, 1.0, 0.0) for _ in range(TOTAL_TOKENS + 1))))
    finished = sorted(row.finished for row in run.requests)
    assert finished[:TOTAL_TOKENS] == pytest.approx([1.0] * TOTAL_TOKENS, abs=0.002)
    assert finished[TOTAL_TOKENS] == pytest.approx(2.0, abs=0.004)
    assert {row.thread for row in run.requests} == set(range(1, TOTAL_TOKENS + 1))
    # All come at once, and the loop reads one after the other; then one waits for 1 s of 2.
    assert run.queues[1].largest == TOTAL_TOKENS + 1
    assert run.queues[1].time_average == pytest.approx(0.5, abs=0.01)


@both
def test_the_thread_that_idled_last_is_next(server: Server) -> None:
    rows = ((0.0, 0.5, 0.0), (0.1, 0.1, 0.0), (0.3, 0.1, 0.0), (0.35, 0.1, 0.0))
    run = predict(functions(server, *rows))
    assert [row.thread for row in run.requests] == [1, 2, 2, 3]


@both
def test_functions_that_compute_share_the_gil_with_the_loop(server: Server) -> None:
    """Two compute for 0.3 s each, in turns; the loop reads the third within a few intervals."""
    rows = ((0.0, 0.0, 0.3), (0.0, 0.0, 0.3), (0.1, 0.2, 0.0))
    run = predict(functions(server, *rows))
    first, second, third = run.requests
    assert max(first.finished, second.finished) == pytest.approx(0.6, abs=0.03)
    assert min(first.finished, second.finished) > 0.5
    assert third.started - 0.1 < 0.1


@both
def test_a_loop_keeps_the_gil_through_the_calls_of_a_kept_connection(server: Server) -> None:
    """It waits for it when it has slept; uvicorn's writes a line of its log besides.

    Beside two functions real coroutines take 27 and 89 ms, and 121 and 352 ms on new connections.
    """
    kept, new = (median(beside_two_functions(server, kind)) for kind in ("keepalive", "new"))
    assert 0.005 <= kept <= 0.06
    assert new >= 2 * kept


def beside_two_functions(server: Server, connection: Literal["new", "keepalive"]) -> list[float]:
    """Latencies of coroutines that come while two functions compute, s."""
    coroutines = Traffic(
        arrivals="constant",
        rate=10.0,
        requests=200,
        connection=connection,
        routes=(
            Route("/function", 0.05, cpu=Distribution("const", (2.0,)), endpoint="def"),
            Route("/coroutine", 0.95),
        ),
        drain=60.0,
    )
    run = predict(Experiment(server, Host(clients="remote"), coroutines, costs=FREE))
    spans = [(row.started, row.finished) for row in run.requests if row.route == "/function"]
    return [
        row.latency
        for row in run.requests
        if row.route == "/coroutine"
        and sum(begin <= row.arrival < end for begin, end in spans) == 2
    ]


@both
def test_the_heartbeat_goes_on_while_functions_compute(server: Server) -> None:
    run = predict(functions(replace(server, timeout=2), (0.5, 0.0, 9.0)))
    assert [row.outcome for row in run.requests] == ["ok"]
    assert not events(run, "timeout")


@both
def test_functions_that_hang_stop_the_others_of_their_kind_only(server: Server) -> None:
    """The route that hangs has all 40 threads after a second; coroutines go on as before."""
    traffic = Traffic(
        arrivals="constant",
        rate=100.0,
        requests=400,
        routes=(
            Route("/hangs", 0.5, io=Distribution("const", (3600.0,)), endpoint="def"),
            Route("/function", 0.25, endpoint="def"),
            Route("/coroutine", 0.25),
        ),
        drain=5.0,
    )
    run = predict(Experiment(server, Host(clients="remote"), traffic, costs=FREE))
    late = [row for row in run.requests if row.arrival > 2.0]
    by_route = {
        name: {row.outcome for row in late if row.route == name}
        for name in ("/hangs", "/function", "/coroutine")
    }
    stuck = {"unfinished"}
    assert by_route == {"/hangs": stuck, "/function": stuck, "/coroutine": {"ok"}}


def test_sigterm_waits_for_functions() -> None:
    for server in (ASGI, UVICORN):
        asked = functions(server, (0.5, 3.0, 0), (6.0, 0, 0))
        assert outcomes(replace(asked, disturbances=(TO_WORKER["TERM"],))) == ["ok", "ok"]


def test_an_asgi_worker_cannot_cancel_functions() -> None:
    """After a SIGQUIT it waits for them, and closes their connections without a response."""
    asked = functions(ASGI, (0.5, 4.0, 0), (8.0, 0, 0))
    run = predict(replace(asked, disturbances=(TO_WORKER["QUIT"],)))
    assert [row.outcome for row in run.requests] == ["reset", "ok"]
    assert run.requests[0].finished == pytest.approx(4.5, abs=0.01)


def test_an_async_endpoint_that_blocks_holds_up_the_others_and_a_function_does_not() -> None:
    rows = ((0.0, 1.0, 0.0), (0.1, 0.0, 0.0))
    for server in (ASGI, UVICORN):
        blocked = predict(traced(server, *rows, blocking_io=1.0))
        assert [row.finished for row in blocked.requests] == pytest.approx([1.0, 1.0], abs=0.002)
        threads = predict(functions(server, *rows, blocking_io=1.0))
        assert [row.finished for row in threads.requests] == pytest.approx([1.0, 0.1], abs=0.002)


def test_a_part_of_the_io_may_block() -> None:
    """It comes last, as in the service: what comes before that is not held up."""
    rows = ((0.0, 1.0, 0.0), (0.1, 0.0, 0.0), (0.8, 0.0, 0.0))
    for server in (ASGI, UVICORN, Server(worker_class="gevent")):
        run = predict(traced(server, *rows, blocking_io=0.25))
        finished = [row.finished for row in run.requests]
        assert finished == pytest.approx([1.0, 0.1, 1.0], abs=0.002)


def test_a_late_body_is_waited_for_before_anything_blocks() -> None:
    """The body comes 1 s late; of the 1 s of I/O behind it, a half blocks."""
    rows = ((0.0, 1.0, 0.0), (1.2, 0.0, 0.0), (1.6, 0.0, 0.0))
    late = Distribution("const", (1.0,))
    for server in (ASGI, UVICORN, Server(worker_class="gevent")):
        run = predict(traced(server, *rows, blocking_io=0.5, body=late))
        finished = [row.finished for row in run.requests]
        assert finished == pytest.approx([2.0, 2.2, 2.6], abs=0.002)


def test_the_first_function_of_a_worker_waits_for_an_import() -> None:
    """And all else that the worker has; coroutines import nothing."""
    rows = ((0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (1.0, 0.0, 0.0))
    costs = replace(FREE, first_to_thread=0.4)
    for server in (ASGI, UVICORN):
        asked = replace(functions(server, *rows), costs=costs)
        finished = [row.finished for row in predict(asked).requests]
        assert finished == pytest.approx([0.4, 0.4, 1.0], abs=0.002)
        coroutines = replace(traced(server, *rows), costs=costs)
        finished = [row.finished for row in predict(coroutines).requests]
        assert finished == pytest.approx([0.0, 0.1, 1.0], abs=0.002)


def test_only_uvicorns_waits_for_requests_whose_clients_have_left() -> None:
    row = (0.5, 10.0, 4.0)
    for server, ends in ((ASGI, 2.6), (UVICORN, 14.5)):
        asked = traced(server, row, (30.0, 0.0, 0.0), timeout=1.0)
        run = predict(replace(asked, disturbances=(replace(TO_WORKER["TERM"], at=2.0),)))
        assert run.requests[0].outcome == "timeout"
        gone = max(time for time, name in events(run, "exit") if name == "worker 1")
        assert gone == pytest.approx(ends, abs=0.7)


@both
def test_plain_functions_take_the_memory_of_their_threads(server: Server) -> None:
    of_loop, of_threads = (
        predict(traced(server, (0.0, 0.0, 0.0), endpoint=endpoint)).memory
        for endpoint in ("async", "def")
    )
    assert of_loop is not None
    assert of_threads is not None
    assert of_threads.worker > of_loop.worker
    more = predict(traced(replace(server, threads=8), (0.0, 0.0, 0.0))).memory
    assert more == of_loop


@both
def test_a_function_costs_the_way_to_its_thread_and_back(server: Server) -> None:
    costs = replace(FREE, to_thread=0.004)
    latencies = [
        predict(replace(asked, costs=costs)).requests[0].finished
        for asked in (traced(server, (0.0, 0.0, 0.0)), functions(server, (0.0, 0.0, 0.0)))
    ]
    assert latencies == pytest.approx([0.0, 0.004], abs=1e-6)


# What is rare.


def impatient(asked: Experiment, seconds: float) -> Experiment:
    return replace(asked, traffic=replace(asked.traffic, timeout=seconds))


def last_end(asked: Experiment, *disturbances: Disturbance) -> float:
    """When worker 1 is gone, s."""
    run = predict(replace(asked, disturbances=disturbances))
    return max(time for time, name in events(run, "exit") if name == "worker 1")


def test_a_client_that_left_before_its_request_was_read_has_it_cancelled_too() -> None:
    """The worker computes until 2.0, reads a request of 10 s, and cancels it 3 s later.

    So nothing computes when another request comes.
    """
    for io, last in ((10.0, "ok"), (2.9, "timeout")):
        rows = ((0.0, 0.0, 2.0), (0.1, io, 3.0), (2.5 + io, 0.0, 0.0))
        run = predict(impatient(traced(ASGI, *rows), 1.0))
        assert run.requests[2].outcome == last


def test_a_hang_ends_with_its_request() -> None:
    asked = impatient(traced(ASGI, (1.0, 0.1, 0.0), (9.0, 0.0, 0.0)), 1.0)
    run = predict(replace(asked, disturbances=(Hang(0.5, worker=1, threads=1, seconds=60.0),)))
    ((over, _),) = events(run, "hang over")
    assert over == pytest.approx(5.0, abs=0.01)


def test_a_function_whose_client_has_left_is_not_cancelled() -> None:
    asked = functions(ASGI, (0.5, 6.0, 0.0), (30.0, 0, 0))
    assert last_end(impatient(asked, 1.0), TO_WORKER["TERM"]) == pytest.approx(6.5, abs=0.6)


def test_the_end_of_a_grace_period_does_not_cancel_the_request_of_another_client() -> None:
    """One that has ended meanwhile has nothing left to cancel."""
    rows = ((0.0, 2.0, 0.0), (3.4, 0.9, 0.0))
    run = predict(impatient(traced(ASGI, *rows), 1.0))
    assert [row.outcome for row in run.requests] == ["timeout", "ok"]


def test_a_function_that_waits_for_a_thread_is_cancelled() -> None:
    """40 functions of 6 s: the last one's client has left before a thread is free."""
    rows = (*((0.0, 6.0, 0.0) for _ in range(TOTAL_TOKENS)), (0.5, 1.0, 0.0), (7.0, 1.0, 0.0))
    run = predict(impatient(functions(ASGI, *rows), 2.0))
    late = run.requests[TOTAL_TOKENS]
    assert late.outcome == "timeout"
    assert math.isnan(late.started)
    assert run.requests[TOTAL_TOKENS + 1].outcome == "ok"


@both
def test_a_function_dies_with_its_process(server: Server) -> None:
    asked = functions(server, (0.5, 4.0, 0.0), (0.6, 0.0, 4.0), (8.0, 0.0, 0.0))
    killed = Signal(1.0, to="worker", signal="KILL")
    assert outcomes(replace(asked, disturbances=(killed,))) == ["reset", "reset", "ok"]
    crashed = replace(asked, disturbances=(Crash(0.2, worker=1),))
    assert outcomes(crashed)[0] == "reset"


def test_sigabrt_ends_the_wait_for_functions_and_python_joins_them() -> None:
    """SIGQUIT at 1.0 cancels the coroutine; the function's thread is joined at 4.5."""
    traffic = Traffic(
        arrivals="constant",
        rate=4.0,
        requests=2,
        routes=(
            Route("/function", 0.5, io=Distribution("const", (4.0,)), endpoint="def"),
            Route("/coroutine", 0.5, io=Distribution("const", (9.0,))),
        ),
    )
    asked = Experiment(ASGI, Host(clients="remote"), traffic, costs=FREE, seed=1)
    mixed = next(
        each
        for each in (replace(asked, seed=seed) for seed in range(1, 50))
        if [row.route for row in predict(each).requests] == ["/function", "/coroutine"]
    )
    quit_, abort = TO_WORKER["QUIT"], replace(TO_WORKER["ABRT"], at=2.5)
    run = predict(replace(mixed, disturbances=(quit_,)))
    assert {row.outcome for row in run.requests} == {"reset"}
    function, coroutine = run.requests
    assert coroutine.finished < 2.1 < function.finished
    run = predict(replace(mixed, disturbances=(quit_, abort, replace(abort, at=2.6))))
    assert run.requests[0].finished == pytest.approx(2.5, abs=0.1)


def test_functions_that_a_stopping_worker_waits_for_end_one_by_one() -> None:
    asked = functions(ASGI, (0.2, 2.0, 0.0), (0.3, 3.0, 0.0), (9.0, 0.0, 0.0))
    run = predict(replace(asked, disturbances=(TO_WORKER["QUIT"],)))
    assert [row.outcome for row in run.requests] == ["reset", "reset", "ok"]
    ends = [row.finished for row in run.requests]
    assert ends[:2] == pytest.approx([2.2, 3.3], abs=0.01)


@pytest.mark.parametrize("signal", ["TERM", "ABRT", "INT"])
@both
def test_a_loop_that_is_closed_has_no_handlers(server: Server, signal: str) -> None:
    """Python takes a second to end; a signal ends it at once."""
    slow = replace(FREE, exit=3.0)
    stops = replace(server, max_requests=1)
    asked = replace(traced(stops, (0.5, 0.0, 0.0), (9.0, 0.0, 0.0)), costs=slow)
    assert last_end(asked) > 3.5
    assert last_end(asked, replace(TO_WORKER[signal], at=2.5)) < 3.0


def test_an_orphan_that_is_stopped_too_leaves_once() -> None:
    """Both come while the loop computes: it looks when it comes round."""
    asked = traced(ASGI, (0.5, 0.0, 3.0), (6.0, 0.0, 0.0))
    killed = Signal(2.0, to="master", signal="KILL")
    run = predict(replace(asked, disturbances=(TO_WORKER["TERM"], killed)))
    assert [row.outcome for row in run.requests] == ["ok", "refused"]
    assert len(events(run, "exiting")) == 1


@both
def test_a_request_may_be_there_before_the_one_before_is_finished(server: Server) -> None:
    asked = traced(server, (0.0, 0, 0), (0.05, 0, 0), connection="keepalive")
    run = predict(replace(asked, costs=replace(FREE, finish=0.1)))
    assert [row.started for row in run.requests] == pytest.approx([0.0, 0.1], abs=0.01)


@both
def test_functions_of_two_workers_crowd_two_cores(server: Server) -> None:
    """Each worker's loop asks for the GIL of its own; the other core is no help then."""
    rows = (*((0.0, 0.0, 1.0) for _ in range(4)), *((0.2, 0.0, 0.0) for _ in range(4)))
    run = predict(functions(replace(server, workers=2), *rows))
    assert {row.outcome for row in run.requests} == {"ok"}
    assert {row.worker for row in run.requests} <= {1, 2}


def test_a_body_is_read_by_the_loop_and_does_not_block_it() -> None:
    """The first uploads for 1 s, and then blocks for 0.5 s."""
    body = Distribution("const", (1.0,))
    for server in (ASGI, Server(worker_class="gevent")):
        asked = traced(server, (0.0, 0.5, 0.0), (0.1, 0.5, 0.0), body=body, blocking_io=1.0)
        run = predict(asked)
        assert [row.outcome for row in run.requests] == ["ok", "ok"]


def drawn_as(asked: Experiment, *routes: str) -> Experiment:
    """The experiment with the first seed by which its requests have these routes, in this order."""
    return next(
        each
        for each in (replace(asked, seed=seed) for seed in range(20_000))
        if [row.route for row in schedule(each, 0)] == [*routes]
    )


def routed(server: Server, rate: float, number: int, *routes: Route) -> Experiment:
    """So many requests, at a constant rate from 0 s on, of routes that are as frequent."""
    traffic = Traffic(
        arrivals="constant",
        rate=rate,
        requests=number,
        connection="keepalive",
        routes=tuple(replace(route, share=1 / len(routes)) for route in routes),
    )
    return Experiment(server, Host(clients="remote"), traffic, costs=FREE)


def constant(seconds: float) -> Distribution:
    return Distribution("const", (seconds,))


def test_sigquit_cancels_a_task_that_has_not_run_yet() -> None:
    """The loop computes until 2.5. Then it reads the last request, and `_serve()` looks.

    What the thread runs until 4.0 cannot be cancelled, so the process still lives as the task of
    the last request would run.
    """
    asked = drawn_as(
        routed(
            ASGI,
            2.0,
            5,
            Route("/function", 1.0, io=constant(4.0), endpoint="def"),
            Route("/waits", 1.0, io=constant(0.7)),
            Route("/quick", 1.0),
            Route("/computes", 1.0, cpu=constant(1.0)),
        ),
        *("/function", "/waits", "/quick", "/computes", "/quick"),
    )
    run = predict(replace(asked, disturbances=(replace(TO_WORKER["QUIT"], at=2.05),)))
    assert [row.outcome for row in run.requests] == ["reset", "ok", "ok", "ok", "reset"]
    function, last = run.requests[0], run.requests[4]
    assert math.isnan(last.started)
    assert [last.finished, function.finished] == pytest.approx([2.5, 4.0], abs=0.01)


def test_a_function_that_returns_as_its_request_is_cancelled_has_no_response() -> None:
    """Its client left at 1.2, and it returns at 4.0; the grace period is over at 4.2.

    The loop computes from 3.5 to 4.5, and finds the one after the other.
    """
    function = Route("/function", 1.0, io=constant(4.0), endpoint="def")
    computes = Route("/computes", 1.0, cpu=constant(1.0))
    asked = impatient(
        drawn_as(routed(ASGI, 1 / 3.5, 3, function, computes), "/function", *["/computes"] * 2),
        1.2,
    )
    run = predict(asked)
    assert [row.outcome for row in run.requests] == ["timeout", "ok", "ok"]
    assert last_end(asked, replace(TO_WORKER["QUIT"], at=4.4)) == pytest.approx(4.5, abs=0.1)


def test_a_function_that_nobody_waits_for_is_run_all_the_same_by_uvicorn() -> None:
    """40 functions run until 6.0, and the last one until 9.0: uvicorn's worker waits for it."""
    rows = (*((0.0, 6.0, 0.0) for _ in range(TOTAL_TOKENS)), (0.5, 3.0, 0.0))
    asked = impatient(functions(UVICORN, *rows, (20.0, 0.0, 0.0)), 2.0)
    term = replace(TO_WORKER["TERM"], at=3.0)
    assert last_end(asked, term) == pytest.approx(9.0, abs=0.2)
    assert math.isnan(predict(asked).requests[TOTAL_TOKENS].started)


def test_a_request_that_comes_as_a_uvicorn_worker_stops_is_reset() -> None:
    """The loop computes until 2.5; `shutdown()` closes idle connections, unread ones too."""
    rows = ((0.0, 0.1, 0.0), (0.0, 0.1, 0.0), (0.5, 0.0, 2.0), (1.0, 0.0, 0.0), (6.0, 0.0, 0.0))
    asked = traced(UVICORN, *rows, connection="keepalive")
    run = predict(replace(asked, disturbances=(replace(TO_WORKER["TERM"], at=0.8),)))
    assert [row.outcome for row in run.requests] == ["ok", "ok", "ok", "reset", "ok"]
    assert run.requests[3].finished == pytest.approx(2.5, abs=0.01)
    assert run.requests[4].worker == 2


def test_on_tick_finds_a_signal_before_it_finds_max_requests() -> None:
    """Both come while the loop computes; `on_tick()` looks for `should_exit` first."""
    server = replace(UVICORN, max_requests=1)
    asked = traced(server, (0.0, 0.0, 0.0), (0.02, 0.0, 2.0), (6.0, 0.0, 0.0))
    run = predict(replace(asked, disturbances=(TO_WORKER["TERM"],)))
    assert [row.outcome for row in run.requests] == ["ok"] * 3
    assert all(name != "worker 1" for _, name in events(run, "max_requests"))
    alone = predict(asked)
    assert "worker 1" in {name for _, name in events(alone, "max_requests")}


def test_uvicorn_serves_what_it_has_accepted_as_it_stops() -> None:
    """It accepts until 1.5, and `main_loop()` ends before the connection has a transport.

    `shutdown()` closes what `connection_made()` has put into `server_state.connections`.
    """
    asked = traced(UVICORN, (1.0, 0.2, 0.0), (6.0, 0.0, 0.0))
    term = replace(TO_WORKER["TERM"], at=1.2)
    run = predict(replace(asked, costs=replace(FREE, accept=0.5), disturbances=(term,)))
    assert [(row.outcome, row.worker) for row in run.requests] == [("ok", 1), ("ok", 2)]


def test_sigquit_cancels_a_task_that_makes_a_transport() -> None:
    """It accepts until 2.0, and `_serve()` looks before the connection has a transport.

    The function of the request before cannot be cancelled, and returns at 4.7.
    """
    asked = functions(ASGI, (0.2, 4.0, 0.0), (1.5, 0.0, 0.0), (9.0, 0.0, 0.0))
    quits = replace(TO_WORKER["QUIT"], at=1.6)
    run = predict(replace(asked, costs=replace(FREE, accept=0.5), disturbances=(quits,)))
    assert [row.outcome for row in run.requests] == ["reset", "reset", "ok"]
    function, last = run.requests[0], run.requests[1]
    assert math.isnan(last.started)
    assert [last.finished, function.finished] == pytest.approx([2.0, 4.7], abs=0.01)
