"""What goes wrong in the model, and what becomes of it: Gunicorn's rules, one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from run_rules import check_events, check_row, check_threads
from strategies import FREE, troubled

from sim.experiment import Experiment, LaunchDarkly, Server, TraceRow, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import BootError, Signal
from sim.model.gunicorn.sync import HANDLE_ERROR
from sim.model.simulation import predict
from sim.run import Request

pytestmark = pytest.mark.usefixtures("bounded")


@settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(troubled)
def test_whatever_goes_wrong_every_request_has_one_outcome(asked: Experiment) -> None:
    run = predict(asked)
    for row in run.requests:
        check_row(asked, row)
    check_threads(run)
    check_events(run)


def test_a_worker_does_not_see_a_request_that_its_client_has_yet_to_send() -> None:
    """It finishes a request just as the client begins another one on the same connection."""
    server = Server(
        workers=2,
        threads=3,
        worker_connections=6,
        timeout=0,
        graceful_timeout=1,
        keepalive=1,
        backlog=1,
        max_requests=1,
        max_requests_jitter=3,
        reuse_port=True,
    )
    late = Distribution("const", (0.7,))
    traffic = Traffic(
        arrivals="closed",
        requests=47,
        users=3,
        think=Distribution("const", (0.1,)),
        connection="keepalive",
        io=Distribution("const", (0.0,)),
        cpu=Distribution("uniform", (0.0, 0.02)),
        drain=20.0,
        retries=1,
        first_byte=late,
        body=late,
        read=late,
        reads_body=False,
    )
    flags = LaunchDarkly(enabled=True, start_wait=0.0, reachable=False, postfork=False)
    asked = Experiment(server=server, traffic=traffic, launchdarkly=flags, seed=22)
    rows = list(predict(asked).requests)
    assert len(rows) == 47
    for row in rows:
        check_row(asked, row)


def slow(seconds: float, server: Server, *, rate: float = 4.0) -> list[Request]:
    """Requests of clients that take ``seconds`` s until they send."""
    traffic = Traffic(
        arrivals="constant",
        rate=rate,
        requests=4,
        io=Distribution("const", (0.01,)),
        first_byte=Distribution("const", (seconds,)),
        drain=30.0,
    )
    return list(predict(Experiment(server=server, traffic=traffic, costs=FREE)).requests)


ONE_THREAD = Server(threads=1, worker_class="gthread")


def test_a_slow_client_holds_a_thread_until_it_sends() -> None:
    rows = slow(1.0, ONE_THREAD)
    # They connect every 0.25 s, and one thread waits for the data of one after the other.
    assert [row.started for row in rows] == pytest.approx([1.0, 1.25, 1.5, 1.75])


def test_a_sync_worker_waits_for_a_slow_client_as_long_as_it_takes() -> None:
    rows = slow(6.0, Server(timeout=30), rate=0.1)
    assert [row.started - row.arrival for row in rows] == pytest.approx([6.0] * 4)
    assert {row.outcome for row in slow(6.0, Server(timeout=3), rate=0.1)} == {"error_5xx"}


def test_a_thread_gives_a_slow_client_back_after_five_seconds() -> None:
    first, second, *_ = slow(5.5, ONE_THREAD, rate=1.0)
    # The thread is free at 5.0, waits for the second's data from then on, and gets it at 6.5; the
    # first's comes at 5.5, and goes behind all that came meanwhile: the last gets its at 8.5.
    assert first.started == pytest.approx(8.51, abs=0.02)
    assert second.started == pytest.approx(6.5)
    assert {row.outcome for row in (first, second)} == {"ok"}


def test_who_has_sent_nothing_after_keepalive_more_is_closed() -> None:
    rows = slow(20.0, Server(threads=4, worker_class="gthread", keepalive=2))
    # They learn that when they send.
    assert [row.outcome for row in rows] == ["reset"] * 4
    assert [row.latency for row in rows] == pytest.approx([20.0] * 4)
    # 5 s in a thread, 2 s in the poller, and up to 1 s until the main thread looks.
    limited = Server(threads=4, worker_class="gthread", keepalive=2, worker_connections=1)
    first, second, *_ = slow(20.0, limited)
    assert 7.0 <= second.accepted - first.accepted <= 8.0


@pytest.mark.parametrize("seconds", [1.0, 20.0], ids=["who sends", "who never sends"])
def test_a_thread_that_waits_for_a_slow_client_is_in_the_census(seconds: float) -> None:
    traffic = Traffic(
        arrivals="constant",
        rate=100.0,
        requests=3,
        first_byte=Distribution("const", (seconds,)),
        drain=0.5,
    )
    server = Server(threads=4, worker_class="gthread")
    (row,) = predict(Experiment(server=server, traffic=traffic, costs=FREE)).census
    # The main thread, and one for each client.
    assert row.threads == 4


def exchanged(
    server: Server, connection: str, *, reads_body: bool = True, **slow: float
) -> list[Request]:
    """Two requests of clients that are slow after their first byte: at once, and 0.1 s later."""
    traffic = Traffic(
        arrivals="trace",
        trace=(TraceRow(0.0, 0.01, 0.0), TraceRow(0.1, 0.01, 0.0)),
        connection=connection,  # type: ignore[arg-type]
        reads_body=reads_body,
        **{name: Distribution("const", (seconds,)) for name, seconds in slow.items()},  # type: ignore[arg-type]
    )
    return list(predict(Experiment(server=server, traffic=traffic, costs=FREE)).requests)


FOUR_THREADS = Server(threads=4, worker_class="gthread")


@pytest.mark.parametrize("server", [Server(), FOUR_THREADS], ids=["sync", "gthread"])
@pytest.mark.parametrize("slow", ["body", "read"])
def test_who_closes_late_holds_the_whole_worker_for_two_seconds_at_most(
    server: Server, slow: str
) -> None:
    # The application reads no body, so the response is there at 0.01 s; then the worker waits in
    # `close_graceful` for the client to close, four threads or not.
    for seconds, closed in ((0.5, 0.5), (5.0, 2.0)):
        first, second = exchanged(server, "new", reads_body=False, **{slow: seconds})
        held = closed + (0.01 if slow == "read" or closed == 2.0 else 0.0)
        assert second.started == pytest.approx(held)
        assert first.latency == pytest.approx(seconds + (0.01 if slow == "read" else 0.0))


def test_a_slow_reader_of_a_kept_connection_holds_nobody() -> None:
    first, second = exchanged(ONE_THREAD, "keepalive", read=5.0)
    assert (first.started, second.started) == pytest.approx((0.0, 0.1))


def test_a_kept_connections_unread_body_holds_the_thread_for_five_seconds_at_most() -> None:
    for seconds, held in ((0.5, 0.5), (6.0, 5.01)):
        first, second = exchanged(ONE_THREAD, "keepalive", reads_body=False, body=seconds)
        assert second.started == pytest.approx(held)
        assert first.latency == pytest.approx(seconds)


@pytest.mark.parametrize("connection", ["new", "keepalive"])
@pytest.mark.parametrize(
    ("server", "second_started"),
    # The client of the second sends its body while the first is served.
    [(Server(), 3.01), (ONE_THREAD, 3.01), (FOUR_THREADS, 0.1)],
    ids=["sync", "gthread", "four threads"],
)
def test_a_body_that_is_read_holds_its_thread_until_it_has_come(
    server: Server, second_started: float, connection: str
) -> None:
    first, second = exchanged(server, connection, body=3.0)
    assert [first.started, second.started] == pytest.approx([0.0, second_started])
    # The application reads the body and then does its work.
    assert first.finished == pytest.approx(3.01)
    assert second.finished == pytest.approx(max(3.1, second_started) + 0.01)


def test_a_body_that_has_come_by_the_time_of_its_request_holds_nobody() -> None:
    assert exchanged(ONE_THREAD, "new", body=0.0, read=0.0) == exchanged(ONE_THREAD, "new")
    first, second = exchanged(ONE_THREAD, "new", first_byte=1.0, body=1e-9)
    assert (first.finished, second.finished) == pytest.approx((1.01, 1.11))


def aborted(worker_class: str, **traffic: str) -> tuple[Request, dict[str, float]]:
    """The one request of a worker with ``timeout = 1``, and when the events came, s."""
    server = Server(worker_class=worker_class, timeout=1)  # type: ignore[arg-type]
    times = {"io": "const:0.01", **traffic}
    parsed = {key: Distribution.parse(value) for key, value in times.items()}
    one = Traffic(arrivals="constant", requests=1, **parsed)  # type: ignore[arg-type]
    run = predict(Experiment(server=server, traffic=one, costs=FREE))
    return run.requests[0], {event.kind: event.time for event in run.events if event.time > 0}


@pytest.mark.parametrize("slow", ["first_byte", "body"])
def test_a_sync_worker_is_killed_while_it_waits_for_the_client_to_close(slow: str) -> None:
    """`handle_error()` has answered 500, and `close_graceful()` waits for 2 s."""
    request, events = aborted("sync", **{slow: "const:6"})
    assert 1.0 <= events["timeout"] <= 2.0
    # The master's next look; the worker has not come to its end by itself.
    assert events["exit"] == pytest.approx(events["timeout"] + 1.0, abs=0.01)
    assert "exiting" not in events
    # The client reads no answer before it has sent.
    assert request.outcome == "error_5xx"
    assert request.finished == pytest.approx(6.0)


def test_a_sync_worker_that_is_aborted_ends_by_itself_once_the_client_closes() -> None:
    _, events = aborted("sync", body="const:2.3")
    assert events["timeout"] < 2.3 == pytest.approx(events["exiting"])
    _, events = aborted("sync", io="const:6")
    assert events["exiting"] == pytest.approx(events["timeout"] + HANDLE_ERROR)


def test_a_sync_worker_that_is_killed_before_it_has_sent_the_500_resets_the_connection() -> None:
    trace = (TraceRow(0.0, 9.0, 0.0),)
    traffic = Traffic(arrivals="trace", trace=trace)
    for later, outcome in ((HANDLE_ERROR / 2, "reset"), (HANDLE_ERROR * 2, "error_5xx")):
        signals = Signal(1.0, "ABRT"), Signal(1.0 + later, "KILL")
        run = predict(Experiment(Server(), traffic=traffic, disturbances=signals, costs=FREE))
        assert run.requests[0].outcome == outcome


def test_an_abort_ends_what_a_sync_worker_computes() -> None:
    traffic = Traffic(arrivals="trace", trace=(TraceRow(0.0, 0.0, 6.0), TraceRow(4.0, 0.0, 0.0)))
    run = predict(Experiment(server=Server(timeout=1), traffic=traffic, costs=FREE))
    assert [row.outcome for row in run.requests] == ["error_5xx", "ok"]
    (at,) = (event.time for event in run.events if event.kind == "timeout")
    (gone,) = (event.time for event in run.events if event.kind == "exit")
    assert gone == pytest.approx(at + HANDLE_ERROR)


@pytest.mark.parametrize(
    ("server", "io", "outcome"),
    [(Server(), 9.0, "reset"), (Server(), 0.0, "refused"), (ONE_THREAD, 0.5, "reset")],
)
def test_a_worker_that_is_thrown_out_of_its_work_keeps_the_socket_until_the_end(
    server: Server, io: float, outcome: str
) -> None:
    """A traceback or a thread holds the sockets; connections that come meanwhile are reset."""
    traffic = Traffic(arrivals="trace", trace=(TraceRow(0.0, io, 0.0), TraceRow(1.2, 0.0, 0.0)))
    end = Signal(1.0, "QUIT", "master")
    costs = replace(FREE, finalize=0.5)
    run = predict(Experiment(server, traffic=traffic, disturbances=(end,), costs=costs))
    assert run.requests[1].outcome == outcome


def test_an_upload_to_a_gthread_worker_may_take_longer_than_timeout() -> None:
    request, events = aborted("gthread", body="const:6")
    assert request.outcome == "ok"
    assert request.finished == pytest.approx(6.01)
    assert events == {}


def test_a_main_thread_that_waits_for_a_client_to_close_sends_no_heartbeat() -> None:
    request, events = aborted("gthread", read="const:6")
    assert request.outcome == "ok"
    assert events["timeout"] == pytest.approx(events["exiting"])


def test_a_signal_that_ends_a_sync_worker_at_once_ends_its_request_too() -> None:
    """`handle_quit()` sleeps 0.1 s, in which the request does not go on."""
    traffic = Traffic(arrivals="constant", requests=1, io=Distribution("const", (1.05,)))
    quit_ = Signal(1.0, "QUIT", "worker")
    run = predict(Experiment(Server(), traffic=traffic, disturbances=(quit_,), costs=FREE))
    request, events = run.requests[0], {event.kind: event.time for event in run.events}
    assert request.outcome == "error_5xx"
    assert request.finished == pytest.approx(1.1 + HANDLE_ERROR)
    assert events["exiting"] == pytest.approx(1.1 + HANDLE_ERROR)


def test_a_request_that_meets_the_end_of_keepalive_is_reset() -> None:
    # Both connections are idle from 0.14 s on, and the first expires at 1.12 s. The third request
    # wakes the main thread at 1.13 s; in its turn of 20 ms the fourth comes, on the first
    # connection, and the turn ends with the expired ones: it has not seen the request.
    arrivals = (0.0, 0.0, 1.13, 1.135)
    traffic = Traffic(
        arrivals="trace",
        trace=tuple(TraceRow(arrival, 0.1, 0.0) for arrival in arrivals),
        connection="keepalive",
    )
    asked = Experiment(
        server=Server(threads=4, worker_class="gthread", keepalive=1),
        traffic=traffic,
        costs=replace(FREE, finish=0.02),
    )
    outcomes = [row.outcome for row in predict(asked).requests]
    assert outcomes == ["ok", "ok", "ok", "reset"]
    again = replace(asked, traffic=replace(traffic, retries=1))
    assert {row.outcome for row in predict(again).requests} == {"ok"}


def test_a_worker_that_wakes_up_for_a_request_has_had_its_heartbeats() -> None:
    # Every 5 s four requests compute, after 3 s of I/O, when another comes: the main thread has
    # slept for all that time, and waits for the GIL, sometimes when the master looks.
    trace = [
        TraceRow(4.97 * number + late, io, cpu)
        for number in range(300)
        for late, io, cpu in (*[(0.0, 3.0, 0.3)] * 4, (3.1, 0.001, 0.0))
    ]
    asked = Experiment(
        Server(workers=1, threads=8, worker_class="gthread", timeout=2),
        traffic=Traffic(arrivals="trace", trace=tuple(trace)),
    )
    run = predict(asked)
    assert [event.kind for event in run.events if event.kind in {"timeout", "exit"}] == []
    assert {request.outcome for request in run.requests} == {"ok"}


def test_a_second_master_has_the_socket_as_soon_as_it_is_forked() -> None:
    """Measured: of 113 requests in 6 s, SIGUSR2 at 1 s and SIGTERM 0.1 s later lose none."""
    trace = tuple(TraceRow(0.05 * number, 0.04, 0.0) for number in range(60))
    upgrade = Signal(1.0, "USR2", "master"), Signal(1.1, "TERM", "master")
    server, traffic = Server(workers=2, preload_app=True), Traffic(arrivals="trace", trace=trace)
    run = predict(Experiment(server, traffic=traffic, disturbances=upgrade))
    assert {request.outcome for request in run.requests} == {"ok"}


def test_a_worker_that_a_signal_ends_is_not_gone_at_once() -> None:
    """Its master, which halts for another that could not boot, finds it gone at the next look."""
    trace = TraceRow(0.95, 0.2, 0.0), TraceRow(3.0, 0.0, 0.0)
    traffic = Traffic(arrivals="trace", trace=trace)
    trouble = BootError(0.5), Signal(1.0, "HUP", "master")
    costs = replace(FREE, finalize=0.08, kill=0.002)
    server = Server(threads=1, worker_class="gthread", preload_app=True)
    run = predict(Experiment(server, traffic=traffic, disturbances=trouble, costs=costs))
    exits = {event.process: event.time for event in run.events if event.kind == "exit"}
    assert exits["worker 1"] == pytest.approx(exits["worker 2"] + 0.1)


@pytest.mark.parametrize(
    ("server", "held_up"),
    [
        (Server(worker_class="sync"), True),
        (Server(worker_class="gthread", threads=1, worker_connections=1), True),
        (Server(worker_class="gthread", threads=1), False),
    ],
    ids=["sync", "at its limit", "accepts all the while"],
)
def test_the_next_is_accepted_once_the_client_has_closed(server: Server, *, held_up: bool) -> None:
    """`util.close_graceful()` waits for it, and holds up a worker that does not accept."""
    traffic = Traffic(arrivals="trace", trace=(TraceRow(0.0, 0.1, 0.0), TraceRow(0.0, 0.1, 0.0)))
    run = predict(Experiment(server, traffic=traffic, costs=replace(FREE, linger=0.01)))
    first, second = run.requests.started
    assert second - first == pytest.approx(0.11 if held_up else 0.1)
