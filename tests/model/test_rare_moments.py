"""Moments that few experiments meet: what comes in the midst of an end, a boot or a connection.

Each experiment is one request or two, so that what follows is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from moments import FREE, GTHREAD, SYNC, run_of, times
from outcomes import outcomes

import sim.model
from sim.errors import ExperimentError
from sim.experiment import Experiment, Probe, Proxy, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import (
    BootError,
    Crash,
    Disturbance,
    FlagService,
    Hang,
    Signal,
)
from sim.experiment.proxy import ProxyKind
from sim.model import predict, simulation
from sim.model.engine.clock import Clock
from sim.run import Run

# --- clients -------------------------------------------------------------------------------------


def test_a_client_that_gives_up_before_it_is_connected_is_never_accepted() -> None:
    late = replace(FREE, connect=0.2)
    run = run_of(GTHREAD, [(0.0, 0.0), (5.0, 0.0)], costs=late, timeout=0.1)
    for request in run.requests:
        assert (request.outcome, request.worker) == ("timeout", 0)
        assert request.finished == pytest.approx(request.arrival + 0.1)
        assert math.isnan(request.accepted)


def test_a_client_that_gives_up_before_it_has_sent_on_a_kept_connection_is_never_read() -> None:
    late = replace(FREE, send=0.2)
    arrivals = [(0.0, 0.0), (1.0, 0.0), (5.0, 0.0)]
    run = run_of(GTHREAD, arrivals, costs=late, timeout=0.1, connection="keepalive")
    # The third needs a new connection, which costs nothing.
    assert outcomes(run) == ["ok", "timeout", "ok"]
    assert math.isnan(run.requests.started[1])


def test_the_first_byte_is_late_on_a_kept_connection_too() -> None:
    run = run_of(
        GTHREAD,
        [(0.0, 0.0), (1.0, 0.0)],
        connection="keepalive",
        first_byte=Distribution("const", (0.3,)),
    )
    assert [request.started - request.arrival for request in run.requests] == pytest.approx(
        [0.3, 0.3], abs=1e-6
    )


@pytest.mark.parametrize(
    ("traffic", "outcome", "after"),
    [
        ({}, "error_5xx", 0.0),
        ({"read": Distribution("const", (0.4,))}, "error_5xx", 0.4),
        ({"timeout": 0.5}, "timeout", None),
    ],
)
def test_a_500_reaches_a_client_that_still_waits(
    traffic: dict[str, Any], outcome: str, after: float | None
) -> None:
    """A sync worker that is aborted answers 500, as `handle_error()` does."""
    hang = Hang(0.0, worker=1, threads=1, seconds=20.0)
    run = run_of(replace(SYNC, timeout=1), [(0.1, 0.0), (9.0, 0.0)], hang, **traffic)
    first, second = run.requests
    ((aborted, _),) = times(run, "timeout")
    assert (first.outcome, second.outcome) == (outcome, "ok")
    if after is not None:
        assert first.finished == pytest.approx(aborted + after, abs=0.05)
    assert second.worker == 2


PROBE = Probe("liveness", period=1.0, timeout=8.0, failure_threshold=9)


@pytest.mark.parametrize("proxy", [Proxy(), Proxy("nginx")], ids=["direct", "nginx"])
def test_a_probe_that_hangs_its_worker_fails_with_a_500(proxy: Proxy) -> None:
    """A kubelet knows of no proxy: it probes Gunicorn itself."""
    hang = Hang(0.0, worker=1, threads=1, seconds=20.0)
    run = run_of(replace(SYNC, timeout=1), [(6.0, 0.0)], hang, probes=(PROBE,), proxy=proxy)
    assert outcomes(run) == ["ok"]
    assert next(probe.request.outcome for probe in run.probes) == "error_5xx"


def test_a_probe_whose_worker_is_killed_fails() -> None:
    hang = Hang(0.0, worker=1, threads=1, seconds=20.0)
    kill = Signal(2.5, "KILL")
    run = run_of(SYNC, [(6.0, 0.0)], hang, kill, probes=(PROBE,))
    assert outcomes(run) == ["ok"]
    assert next(probe.request.outcome for probe in run.probes) == "reset"


def test_a_probe_that_times_out_before_it_is_connected_is_never_served() -> None:
    late = replace(FREE, connect=1.0)
    run = run_of(SYNC, [(5.0, 0.0)], costs=late, probes=(replace(PROBE, timeout=0.5),))
    assert {probe.request.outcome for probe in run.probes} == {"timeout"}
    assert {probe.request.worker for probe in run.probes} == {0}


def test_a_response_that_comes_after_the_timeout_does_not_help_a_probe() -> None:
    late = replace(FREE, receive=0.5)
    probe = replace(PROBE, timeout=0.7, io=Distribution("const", (0.4,)))
    run = run_of(SYNC, [(6.0, 0.0)], costs=late, probes=(probe,))
    first = next(probe.request for probe in run.probes)
    assert (first.outcome, first.worker) == ("timeout", 1)
    assert first.finished - first.arrival == pytest.approx(0.7)


def test_a_probe_waits_for_a_full_accept_queue_as_clients_do() -> None:
    run = run_of(replace(SYNC, backlog=1), [(0.0, 4.0)] * 4, probes=(replace(PROBE, timeout=60.0),))
    first = next(probe.request for probe in run.probes)
    assert first.arrival < 4.0
    assert first.outcome in ("ok", "unfinished")
    assert not first.started < 8.0


# --- ends ----------------------------------------------------------------------------------------


def test_a_process_ends_once() -> None:
    run = run_of(SYNC, [(3.0, 0.0)], Signal(1.0, "KILL"), Signal(1.0, "KILL"), costs=Costs())
    assert [process for _, process in times(run, "exit")] == ["worker 1"]
    assert run.requests.worker[0] == 2


def test_sigabrt_ends_a_worker_that_waits_for_its_threads() -> None:
    """After `graceful_timeout` the worker exits, and Python joins the pool: only SIGABRT helps."""
    hang = Hang(0.0, worker=1, threads=1, seconds=20.0)
    server = replace(GTHREAD, graceful_timeout=1)
    without = run_of(server, [(0.1, 0.0), (9.0, 0.0)], hang, Signal(1.0, "TERM"))
    aborted = run_of(
        server, [(0.1, 0.0), (9.0, 0.0)], hang, Signal(1.0, "TERM"), Signal(4.0, "ABRT")
    )
    assert times(without, "exit")[0][0] == pytest.approx(20.1, abs=0.1)
    assert times(aborted, "exit")[0][0] == pytest.approx(4.0, abs=0.1)
    assert outcomes(aborted) == ["reset", "ok"]


@pytest.mark.parametrize("signal", ["TERM", "QUIT"])
def test_a_second_signal_to_a_worker_that_exits_changes_nothing(signal: str) -> None:
    costs = replace(FREE, finalize=2.0)
    once = run_of(GTHREAD, [(9.0, 0.0)], Signal(1.0, signal), costs=costs)
    twice = run_of(
        GTHREAD,
        [(9.0, 0.0)],
        Signal(1.0, signal),
        Signal(2.0, "TERM"),
        Signal(2.0, "INT"),
        costs=costs,
    )
    ended = [event for event in twice.events if not event.kind.startswith("sent ")]
    first = [event for event in once.events if not event.kind.startswith("sent ")]
    # SIGTERM and SIGINT have no handler any more once Python finalizes.
    assert [event.kind for event in ended] == [event.kind for event in first]


def test_a_worker_that_quits_and_is_killed_is_gone_once() -> None:
    run = run_of(SYNC, [(5.0, 0.0)], Signal(1.0, "QUIT"), Signal(1.05, "KILL"))
    assert [process for _, process in times(run, "exit")] == ["worker 1"]
    assert not times(run, "exiting")


def test_an_orphan_that_is_busy_leaves_after_its_request() -> None:
    run = run_of(SYNC, [(0.5, 3.0)], Signal(1.0, "KILL", "master"))
    assert outcomes(run) == ["ok"]
    ((at, process),) = times(run, "orphaned")
    assert process == "worker 1"
    assert at >= 3.5


def test_an_old_stopping_worker_has_no_heartbeat() -> None:
    """23.0.0's second loop does not notify, so `timeout` ends it before `graceful_timeout`."""
    hang = Hang(0.0, worker=1, threads=1, seconds=20.0)
    server = replace(GTHREAD, gunicorn="23.0.0", timeout=2, graceful_timeout=30)
    old = run_of(server, [(0.1, 0.0), (20.0, 0.0)], hang, Signal(1.0, "TERM"))
    new = run_of(
        replace(server, gunicorn="27.0.1"), [(0.1, 0.0), (20.0, 0.0)], hang, Signal(1.0, "TERM")
    )
    ((at, _),) = times(old, "timeout")
    assert 2.0 <= at <= 4.0
    assert not times(new, "timeout")
    assert outcomes(new) == ["ok", "ok"]


def test_a_release_that_cannot_boot_halts_a_master_of_any_release() -> None:
    for release in ("20.1.0", "23.0.0", "27.0.1"):
        server = replace(SYNC, gunicorn=release)
        run = run_of(server, [(0.1, 0.0), (9.0, 0.0)], BootError(0.5), Signal(1.0, "HUP", "master"))
        assert [process for _, process in times(run, "halt")] == ["master"], release
        assert outcomes(run) == ["ok", "refused"], release


@pytest.mark.parametrize("cost", ["import_app", "boot"])
def test_a_worker_that_quits_while_it_boots_is_replaced(cost: str) -> None:
    server = replace(SYNC, preload_app=False)
    costs = replace(FREE, **{cost: 1.0})
    quits = Signal(1.5, "QUIT", worker=2)
    run = run_of(server, [(9.0, 0.0)], Signal(1.0, "KILL"), quits, costs=costs)
    assert [process for _, process in times(run, "ready")] == ["worker 1", "worker 3"]


@pytest.mark.parametrize(
    ("costs", "arrival", "outcome"),
    [
        # SIGQUIT comes at 1 s; its handler sleeps for 0.1 s, and other threads go on meanwhile.
        (replace(FREE, request=0.2), 0.85, "reset"),
        (replace(FREE, respond=0.2), 0.85, "reset"),
        (replace(FREE, sync_finish=0.2), 0.85, "ok"),
    ],
)
def test_the_handler_of_sigquit_stops_what_a_sync_worker_does(
    costs: Costs, arrival: float, outcome: str
) -> None:
    server = replace(SYNC, gunicorn="20.1.0")
    run = run_of(server, [(arrival, 0.0), (9.0, 0.0)], Signal(1.0, "QUIT"), costs=costs)
    assert outcomes(run) == [outcome, "ok"]
    assert run.requests.worker[1] == 2


def test_a_crash_of_a_sync_worker_resets_its_request() -> None:
    run = run_of(SYNC, [(1.0, 0.5), (5.0, 0.0)], Crash(0.5))
    assert outcomes(run) == ["reset", "ok"]
    assert run.requests.worker[1] == 2


def test_a_sync_worker_notes_every_request_beyond_max_requests() -> None:
    server = replace(SYNC, max_requests=1)
    run = run_of(server, [(1.0, 0.0), (5.0, 0.0)])
    assert [process for _, process in times(run, "max_requests")] == ["worker 1", "worker 2"]
    assert outcomes(run) == ["ok", "ok"]


def test_signals_of_a_stopped_process_wait_and_others_do_nothing() -> None:
    stop, go_on = Signal(1.0, "STOP"), Signal(3.0, "CONT")
    run = run_of(SYNC, [(9.0, 0.0)], Signal(0.5, "CONT"), stop, Signal(2.0, "TERM"), go_on)
    ((at, process),) = times(run, "exiting")
    assert process == "worker 1"
    assert at >= 3.0
    assert outcomes(run) == ["ok"]


def test_what_a_stopped_sync_worker_finds_when_it_goes_on_is_served_before_it_ends() -> None:
    stop, go_on, term = Signal(1.0, "STOP"), Signal(2.0, "CONT"), Signal(3.0, "TERM")
    run = run_of(SYNC, [(1.5, 2.0)], stop, go_on, term)
    assert [row.accepted for row in run.requests] == [2.0]
    assert outcomes(run) == ["ok"]
    ((at, _),) = times(run, "exiting")
    assert at == pytest.approx(4.0)


def test_users_whose_time_does_not_pass_are_refused() -> None:
    """A full accept queue of a Unix socket refuses at once, and they try again at once."""
    traffic = Traffic(
        arrivals="closed",
        duration=1.0,
        users=5,
        think=Distribution("const", (0.0,)),
        io=Distribution("const", (0.1,)),
    )
    server = replace(SYNC, bind="unix:/socket", backlog=1)
    asked = Experiment(server, traffic=traffic, costs=FREE, replications=1)
    with pytest.raises(ExperimentError, match=r"have sent 10,050 requests at 0 s .* for ever"):
        predict(asked)
    # So many requests are an end, and with costs the time passes.
    counted = replace(asked, traffic=replace(traffic, requests=20_000))
    assert len(predict(counted).requests) == 20_000
    answered = predict(replace(asked, costs=Costs())).requests
    assert max(answered.arrival) > 0.9


def test_a_request_on_the_connection_of_one_that_hung_does_not_hang() -> None:
    hang = Hang(0.5, worker=1, seconds=1.0)
    run = run_of(GTHREAD, [(1.0, 0.0), (3.0, 0.0)], hang, connection="keepalive")
    assert [row.latency for row in run.requests] == [pytest.approx(1.0), pytest.approx(0.0)]
    assert len(times(run, "hang over")) == 1


def test_an_idle_sync_worker_has_notified_half_a_timeout_ago_at_most() -> None:
    """It wakes up so often, and a stopped one is killed a whole timeout after the last time."""
    run = run_of(replace(SYNC, timeout=30), [(60.0, 0.0)], Signal(28.0, "STOP"))
    (ready,) = [event.time for event in run.events if event.kind == "ready" and event.time < 0]
    ((killed, _),) = times(run, "timeout")
    assert ready + 15.0 + 30.0 <= killed <= ready + 15.0 + 30.0 + 1.1


def test_a_thread_that_waits_for_a_request_dies_with_its_process() -> None:
    late = Distribution("const", (2.0,))
    run = run_of(GTHREAD, [(1.0, 0.0), (9.0, 0.0)], Signal(1.5, "KILL"), first_byte=late)
    assert outcomes(run) == ["reset", "ok"]
    first, last = run.requests
    assert (first.worker, last.worker) == (1, 2)
    assert math.isnan(first.started)


def test_a_signal_before_a_worker_has_handlers_is_lost() -> None:
    """It is in the child's copy of the master's queue, which nobody reads."""
    away = FlagService(0.5, reachable=False)
    run = run_of(
        SYNC,
        [(12.0, 0.0)],
        away,
        Signal(1.0, "KILL"),
        Signal(2.0, "TERM", worker=2),
        launchdarkly=True,
    )
    assert [process for _, process in times(run, "ready")] == ["worker 1", "worker 2"]
    assert times(run, "exiting") == []
    assert run.requests.worker[0] == 2


def test_a_worker_that_exits_as_it_boots_is_never_ready() -> None:
    """Its boot ends while Python exits, whose end takes longer."""
    server = replace(SYNC, preload_app=False)
    costs = replace(FREE, boot=1.0, exit=2.0)
    quits = Signal(1.5, "QUIT", worker=2)
    run = run_of(server, [(9.0, 0.0)], Signal(1.0, "KILL"), quits, costs=costs)
    assert [process for _, process in times(run, "exiting")] == ["worker 2"]
    assert [process for _, process in times(run, "ready")] == ["worker 1", "worker 3"]
    assert run.requests.worker[0] == 3


def test_a_second_sigquit_does_not_hurry_a_worker_that_waits_for_its_threads() -> None:
    hang = Hang(0.0, worker=1, threads=1, seconds=20.0)
    server, term = replace(GTHREAD, graceful_timeout=1), Signal(1.0, "TERM")
    once = run_of(server, [(0.1, 0.0), (9.0, 0.0)], hang, term)
    twice = run_of(server, [(0.1, 0.0), (9.0, 0.0)], hang, term, Signal(4.0, "QUIT"))
    assert times(twice, "exit") == times(once, "exit")
    assert times(twice, "exiting") == times(once, "exiting")
    assert outcomes(twice) == outcomes(once) == ["ok", "ok"]


def test_a_response_that_ends_in_an_exiting_worker_ends_the_wait_for_its_threads() -> None:
    costs = replace(FREE, respond=0.5)
    run = run_of(GTHREAD, [(0.5, 0.1), (9.0, 0.0)], Signal(0.8, "QUIT"), costs=costs)
    assert outcomes(run) == ["ok", "ok"]
    # Its handler sleeps for 0.1 s, and the thread computes for 0.5 s from 0.6 s on.
    ((exiting, _),), ((ended, _),) = times(run, "exiting"), times(run, "exit")
    assert (exiting, ended) == pytest.approx((0.9, 1.1), abs=0.01)


def test_sigkill_to_all_leaves_nobody() -> None:
    run = run_of(SYNC, [(0.5, 3.0), (5.0, 0.0)], Signal(1.0, "KILL", "all"))
    assert outcomes(run) == ["reset", "refused"]
    assert run.requests.finished[0] == pytest.approx(1.0, abs=0.01)
    assert times(run, "fork")[-1][0] <= 0.0


def test_the_rest_of_a_body_does_not_keep_a_worker_that_has_ended() -> None:
    """The response was sent; a thread reads what the application has not, as the worker dies."""
    late = Distribution("const", (3.0,))
    run = run_of(
        GTHREAD,
        [(0.5, 0.0), (9.0, 0.0)],
        Signal(1.0, "KILL"),
        connection="keepalive",
        body=late,
        reads_body=False,
    )
    ((ended, _),) = times(run, "exit")
    assert ended == pytest.approx(1.0, abs=0.01)
    assert list(run.requests.worker) == [1, 2]


def test_a_request_that_comes_as_its_connection_is_put_back_is_read() -> None:
    """A thread has waited 5 s for it, and the main thread puts the connection on the poller."""
    late, costs = Distribution("const", (5.1,)), replace(FREE, finish=0.2)
    run = run_of(replace(GTHREAD, threads=1), [(0.5, 0.0)], costs=costs, first_byte=late)
    assert outcomes(run) == ["ok"]
    # Put back at 5.7 s, when the request was there since 5.6 s; another turn enqueues it.
    assert run.requests.started[0] == pytest.approx(5.9, abs=0.01)


# --- gevent --------------------------------------------------------------------------------------

GEVENT = replace(GTHREAD, worker_class="gevent", graceful_timeout=5)


@pytest.mark.parametrize(
    ("server", "disturbances", "expected"),
    [
        (GEVENT, (Signal(1.0, "KILL"),), "reset"),
        (GEVENT, (Signal(1.0, "ABRT"),), "reset"),
        (GEVENT, (Signal(1.0, "QUIT"),), "reset"),
        (GEVENT, (Crash(0.4),), "reset"),
        # The request takes 2 s, and has `graceful_timeout` of 5 s.
        (GEVENT, (Signal(1.0, "TERM"),), "ok"),
        (GEVENT, (Signal(1.0, "HUP", "master"),), "ok"),
        (replace(GEVENT, max_requests=1), (), "ok"),
        (GEVENT, (Hang(0.4, seconds=20.0), Signal(0.6, "TERM")), "reset"),
        (GEVENT, (Signal(1.0, "STOP"), Signal(1.5, "CONT")), "ok"),
    ],
    ids=["kill", "abort", "quit", "crash", "stop", "reload", "restart", "hang", "freeze"],
)
@pytest.mark.parametrize("connection", ["new", "keepalive"])
def test_a_request_of_a_gevent_worker_that_ends(
    server: Server, disturbances: tuple[Disturbance, ...], expected: str, connection: str
) -> None:
    run = run_of(server, [(0.5, 2.0), (12.0, 0.0)], *disturbances, connection=connection)
    assert outcomes(run) == [expected, "ok"]
    frozen = any(isinstance(d, Signal) and d.signal == "CONT" for d in disturbances)
    assert run.requests.worker[1] == (1 if frozen else 2)


def test_an_orphan_of_gevent_leaves_at_once() -> None:
    """`GeventWorker.notify()` calls `sys.exit(0)` where the parent has changed."""
    run = run_of(GEVENT, [(0.5, 2.0)], Signal(1.0, "KILL", "master"))
    assert outcomes(run) == ["reset"]
    ((_, process),) = times(run, "orphaned")
    assert process == "worker 1"


# --- LaunchDarkly --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "connections"),
    [
        # Each worker has a stream and a connection for its events.
        ((FlagService(1.0, latency=3.0),), 2),
        # Gone, and back: the client tries again.
        ((FlagService(1.0, reachable=False), FlagService(2.0, reachable=True)), 2),
        # Gone again while the client waits for its flags.
        (
            (
                FlagService(1.0, reachable=False),
                FlagService(2.0, reachable=True, latency=9.0),
                FlagService(8.0, reachable=False),
            ),
            1,
        ),
        # A stream that has lasted for a minute: the first retry is a quick one again.
        (
            (
                FlagService(1.0, reachable=False),
                FlagService(2.0, reachable=True),
                FlagService(90.0, reachable=False),
                FlagService(90.1, reachable=True),
            ),
            2,
        ),
    ],
    ids=["slower", "back", "gone while it waits", "after a minute"],
)
def test_a_client_of_the_flag_service_comes_back(
    changes: tuple[FlagService, ...], connections: int
) -> None:
    end = changes[-1].at + 8.0
    run = run_of(replace(SYNC, preload_app=False), [(end, 0.0)], *changes, launchdarkly=True)
    assert outcomes(run) == ["ok"]
    assert [row.flag_connections for row in run.census] == [connections]


# --- proxies -------------------------------------------------------------------------------------


def proxied(
    server: Server,
    proxy: Proxy,
    arrivals: Iterable[tuple[float, float]],
    *disturbances: Disturbance,
    **traffic: Any,  # noqa: ANN401
) -> Run:
    """As `run_of`, behind a proxy."""
    return run_of(server, arrivals, *disturbances, proxy=proxy, **traffic)


@pytest.mark.parametrize("kind", ["nginx", "alb"])
def test_a_500_passes_a_proxy(kind: ProxyKind) -> None:
    hang = Hang(0.0, worker=1, threads=1, seconds=20.0)
    run = proxied(replace(SYNC, timeout=1), Proxy(kind), [(0.1, 0.0), (9.0, 0.0)], hang)
    assert outcomes(run) == ["error_5xx", "ok"]


def test_a_client_that_leaves_before_the_proxy_has_its_request_costs_gunicorn_nothing() -> None:
    late = replace(FREE, connect=0.3)
    arrivals = [(0.0, 0.5), (5.0, 0.5)]
    run = run_of(SYNC, arrivals, costs=late, proxy=Proxy("nginx"), timeout=0.2)
    assert outcomes(run) == ["timeout", "timeout"]
    assert all(math.isnan(request.accepted) for request in run.requests)


def test_a_client_that_leaves_during_the_response_has_left_before_it() -> None:
    run = proxied(SYNC, Proxy("nginx"), [(0.0, 1.0), (3.0, 0.0)], timeout=0.5)
    assert outcomes(run) == ["timeout", "ok"]
    assert run.requests.started[0] < 0.1


def test_kept_clients_of_a_slow_proxy_wait_for_their_responses() -> None:
    read = Distribution("const", (0.4,))
    run = proxied(
        GTHREAD,
        Proxy("nginx", keepalive=4),
        [(0.0, 0.1), (1.0, 0.1)],
        connection="keepalive",
        read=read,
    )
    assert [request.finished - request.arrival for request in run.requests] == pytest.approx(
        [0.5, 0.5], abs=0.01
    )


def test_a_proxy_closes_idle_connections() -> None:
    """`idle_timeout` of the proxy is below Gunicorn's `keepalive`, or one idle is one too many."""
    server = replace(GTHREAD, keepalive=30)
    soon = proxied(server, Proxy("nginx", keepalive=4, idle_timeout=1.0), [(0.0, 0.1), (5.0, 0.1)])
    few = proxied(
        replace(server, workers=1),
        Proxy("nginx", keepalive=1),
        [(0.0, 0.1), (0.01, 0.1), (5.0, 0.0)],
    )
    assert outcomes(soon) == ["ok", "ok"]
    assert outcomes(few) == ["ok", "ok", "ok"]


# --- masters -------------------------------------------------------------------------------------


def test_a_killed_master_gets_no_signal() -> None:
    kill = Signal(1.0, "KILL", "master")
    run = run_of(SYNC, [(0.5, 1.0), (5.0, 0.0)], kill, Signal(2.0, "TERM", "master"))
    assert outcomes(run) == ["ok", "refused"]
    assert not times(run, "signal term")
    assert not times(run, "shutdown")


@pytest.mark.parametrize("signal", ["INT", "QUIT"])
def test_a_master_that_stops_can_be_hurried(signal: str) -> None:
    """`stop()` of 27.0 looks for SIGINT and SIGQUIT while it waits for its workers."""
    stop = Signal(1.0, "TERM", "master")
    slow = run_of(SYNC, [(0.5, 9.0)], stop)
    quick = run_of(SYNC, [(0.5, 9.0)], stop, Signal(2.0, signal, "master"))
    assert outcomes(slow) == ["ok"]
    assert outcomes(quick) != ["ok"]
    assert slow.requests.finished[0] == pytest.approx(9.5, abs=0.1)
    assert quick.requests.finished[0] == pytest.approx(2.1, abs=0.2)


def test_other_signals_do_not_hurry_a_master_that_stops() -> None:
    stop = Signal(1.0, "TERM", "master")
    run = run_of(SYNC, [(0.5, 9.0)], stop, Signal(2.0, "HUP", "master"))
    assert outcomes(run) == ["ok"]
    assert [process for _, process in times(run, "fork")] == ["worker 1"]


def test_a_second_master_starts_no_third() -> None:
    usr2 = Signal(1.0, "USR2", "master")
    run = run_of(SYNC, [(9.0, 0.0)], usr2, Signal(3.0, "USR2", "master"))
    assert [process for _, process in times(run, "listening")] == ["master", "master 2"]


def test_one_worker_is_the_least() -> None:
    """`handle_ttou()` returns where num_workers <= 1; `handle_ttin()` forks another."""
    ttou = run_of(SYNC, [(5.0, 0.0)], Signal(1.0, "TTOU", "master"))
    assert outcomes(ttou) == ["ok"]
    assert [process for _, process in times(ttou, "fork")] == ["worker 1"]
    both = run_of(SYNC, [(5.0, 0.0)], Signal(1.0, "TTIN", "master"), Signal(2.0, "TTOU", "master"))
    assert [process for _, process in times(both, "exit")] == ["worker 1"]


def test_an_old_master_keeps_five_signals() -> None:
    """`Arbiter.signal()` drops what comes while `SIG_QUEUE` has five."""
    costs = replace(FREE, reload=2.0)
    signals = [Signal(1.0, "HUP", "master")] + [Signal(2.0, "TTIN", "master")] * 7
    old = run_of(replace(SYNC, gunicorn="23.0.0"), [(20.0, 0.0)], *signals, costs=costs)
    assert len(times(old, "signal ttin")) == 5


def test_a_unix_socket_is_gone_with_its_master() -> None:
    server = replace(SYNC, bind="unix:/tmp/gunicorn.sock")
    run = run_of(server, [(0.5, 3.0), (2.0, 0.0)], Signal(1.0, "TERM", "master"))
    assert outcomes(run) == ["ok", "refused"]


# --- older pools ---------------------------------------------------------------------------------

OLD = replace(GTHREAD, gunicorn="23.0.0")


def test_an_orphan_of_an_old_release_waits_for_its_requests() -> None:
    run = run_of(OLD, [(0.5, 3.0), (0.6, 2.0)], Signal(1.0, "KILL", "master"))
    assert outcomes(run) == ["ok", "ok"]
    ((at, process),) = times(run, "orphaned")
    assert process == "worker 1"
    assert at < 3.0
    assert times(run, "exiting")[0][0] == pytest.approx(3.5, abs=0.1)


def test_an_old_worker_that_quits_drops_what_its_threads_run_at_once() -> None:
    run = run_of(OLD, [(0.5, 3.0), (9.0, 0.0)], Signal(1.0, "QUIT"))
    last = run.requests.worker[1]
    assert (outcomes(run)[1], last) == ("ok", 2)
    assert times(run, "exiting")[0][0] < 1.5


def test_an_old_worker_without_graceful_timeout_leaves_at_once() -> None:
    server = replace(OLD, graceful_timeout=0)
    run = run_of(server, [(0.5, 2.0), (9.0, 0.0)], Signal(1.0, "TERM"))
    assert times(run, "exiting")[0][0] < 2.5


def test_a_thread_of_the_oldest_release_waits_no_longer_than_its_process_lives() -> None:
    server, late = replace(OLD, gunicorn="20.1.0"), Distribution("const", (3.0,))
    run = run_of(server, [(0.5, 0.0), (9.0, 0.0)], Signal(1.0, "KILL"), first_byte=late)
    assert outcomes(run) == ["reset", "ok"]
    assert math.isnan(run.requests.started[0])
    assert run.requests.worker[1] == 2


def test_a_request_that_is_quicker_than_the_old_thread_that_keeps_its_connection() -> None:
    """It comes 0.5 s after the one before, which takes its thread 0.9 s to finish."""
    run = run_of(
        OLD,
        [(0.5, 0.0), (1.0, 0.0), (9.0, 0.0)],
        connection="keepalive",
        costs=replace(FREE, finish=0.9),
    )
    assert outcomes(run) == ["ok", "ok", "ok"]
    assert run.requests.started[1] == pytest.approx(1.4, abs=0.01)


# --- the engine, and what the package exports ----------------------------------------------------


def test_what_the_model_exports_and_what_not() -> None:
    assert sim.model.predict is simulation.predict
    with pytest.raises(AttributeError, match=r"'sim\.model' has no attribute 'predicts'"):
        _ = sim.model.predicts


def test_an_end_that_never_comes_is_an_error() -> None:
    clock = Clock()
    with pytest.raises(RuntimeError, match="nothing is left to happen"):
        clock.run_until(clock.event())


def test_an_end_that_has_come_needs_no_call() -> None:
    clock = Clock()
    end, later = clock.timeout(1.0), clock.timeout(2.0)
    assert clock.run_until(end)
    assert clock.run_until(later)
    assert clock.run_until(end, 0)
    assert clock.time == 2.0
