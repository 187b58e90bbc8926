"""Trouble that comes while other trouble is under way: who is lost then, and when.

Goal: hold the model to Gunicorn's source and Linux's rules where two things meet that each have
tests of their own. Method: a request or two by the moment, so that each time can be told.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import pytest
from event_loops import TO_WORKER, events, traced
from moments import FREE, GTHREAD, SYNC, run_of, times
from outcomes import outcomes

from sim.experiment import (
    Experiment,
    Host,
    LaunchDarkly,
    Proxy,
    Server,
    TraceRow,
    Traffic,
    WorkerClass,
)
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import BootError, Hang, Signal
from sim.model import predict

OLD = replace(GTHREAD, gunicorn="23.0.0")
OLDEST = replace(GTHREAD, gunicorn="20.1.0")
_LOOPS: tuple[WorkerClass, ...] = ("gevent", "asgi", "uvicorn")
LOOPS: dict[str, Server] = {name: Server(worker_class=name) for name in _LOOPS}

#: One worker of each kind, by name.
WORKERS = {"sync": SYNC, "gthread": GTHREAD, "gthread 23": OLD, "gthread 20.1": OLDEST, **LOOPS}


def workers(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("server", [WORKERS[name] for name in names], ids=names)


# --- clients -------------------------------------------------------------------------------------


def test_users_who_think_briefly_overtake_those_who_think_longer() -> None:
    """Each of two users sends again after the response and their own time to think, no other's."""
    short, long = 0.1, 2.0
    traffic = Traffic(
        arrivals="closed",
        users=2,
        requests=60,
        think=Distribution("bimodal", (0.5, short, long)),
        io=Distribution("const", (0.01,)),
    )
    rows = list(predict(Experiment(GTHREAD, traffic=traffic, costs=FREE)).requests)
    assert {row.outcome for row in rows} == {"ok"}
    sent = [row.arrival for row in rows]
    assert sent == sorted(sent)
    # Each response but the last two is followed by one request, after one of the two times.
    ended = [row.finished for row in rows]
    for arrival in sent[2:]:
        ended.remove(next(it for it in ended if is_think(arrival - it, short, long)))
    assert len(ended) == 2
    in_turn = zip(rows, sent[2:], strict=False)
    assert not all(is_think(arrival - row.finished, short, long) for row, arrival in in_turn)


def is_think(seconds: float, *thinks: float) -> bool:
    return any(math.isclose(seconds, think) for think in thinks)


@workers("gthread", "gthread 23", "gthread 20.1", "gevent", "asgi", "uvicorn")
def test_a_request_that_is_not_sent_is_not_run(server: Server) -> None:
    """The client takes 0.2 s to send, and gives up after 0.1: the kept connection is closed.

    A worker that ran that request of 5 s would have no thread for the next one.
    """
    server = replace(server, threads=1, keepalive=9)
    run = run_of(
        server,
        [(0.0, 0.0), (1.0, 5.0), (2.0, 0.0)],
        costs=replace(FREE, send=0.2),
        connection="keepalive",
        timeout=0.1,
        blocking_io=1.0 if server.worker_class in LOOPS else 0.0,
    )
    assert outcomes(run) == ["ok", "timeout", "ok"]
    assert math.isnan(run.requests.started[1])
    assert run.requests.started[2] == pytest.approx(2.0, abs=0.01)


def test_a_proxy_that_is_left_before_it_sends_closes_its_connection() -> None:
    """Two connections are all that the worker may have, and both are kept by nginx.

    The fourth request waits for nginx's turn as its client leaves, and its connection is closed. So
    the fifth, for which nginx has no idle connection, is accepted at once.
    """
    server = replace(LOOPS["gevent"], worker_connections=2, keepalive=30)
    run = run_of(
        server,
        [(0.0, 0.15), (0.31, 0.15), (2.0, 1.0), (2.0, 0.0), (2.65, 0.1)],
        costs=replace(FREE, proxy_request=0.3),
        proxy=Proxy("nginx", keepalive=4),
        timeout=0.5,
    )
    assert outcomes(run) == ["ok", "ok", "timeout", "timeout", "ok"]
    assert math.isnan(run.requests.accepted[3])
    assert run.requests.started[4] == pytest.approx(2.95, abs=0.01)


# --- workers -------------------------------------------------------------------------------------


@workers("gthread", "gthread 23", "gthread 20.1", "gevent", "asgi", "uvicorn")
def test_what_is_just_accepted_is_lost_with_its_process(server: Server) -> None:
    """The kernel closes what a process had open: the client gets a RST."""
    kill = Signal(0.7, "KILL")
    run = run_of(server, [(0.5, 0.1), (9.0, 0.0)], kill, costs=replace(FREE, accept=0.5))
    assert outcomes(run) == ["reset", "ok"]
    assert run.requests.finished[0] == pytest.approx(0.7, abs=0.01)
    assert math.isnan(run.requests.accepted[0])
    assert run.requests.worker[1] == 2


@workers("gthread", "gthread 23", "gthread 20.1")
def test_a_main_thread_that_quits_takes_no_further_turn(server: Server) -> None:
    """`handle_quit()` sleeps for 0.1 s and raises `SystemExit`, wherever the main thread is.

    It is about to hand a connection to the pool, which is shut down already. Python takes 1 s to
    end, and nobody has the connection meanwhile.
    """
    costs = replace(FREE, accept=0.5, exit=1.0)
    run = run_of(server, [(0.5, 0.1), (9.0, 0.0)], Signal(0.6, "QUIT"), costs=costs)
    assert outcomes(run) == ["reset", "ok"]
    assert math.isnan(run.requests.started[0])
    ((exiting, process),) = times(run, "exiting")
    assert exiting == pytest.approx(0.7, abs=0.01)
    assert process == "worker 1"
    assert run.requests.finished[0] > 1.2
    assert run.requests.worker[1] == 2


@workers("gthread", "gthread 23", "gthread 20.1")
def test_a_main_thread_that_quits_accepts_nothing_more(server: Server) -> None:
    """It has waited for the GIL for 2 ms, with a connection to accept, as SIGQUIT comes.

    Python runs the handler before anything else. So the connection waits for the next worker, which
    is forked when the pool thread has computed until 1.0.
    """
    rows = (TraceRow(0.5, 0.0, 0.5), TraceRow(0.6, 0.0, 0.0), TraceRow(9.0, 0.0, 0.0))
    traffic = Traffic(arrivals="trace", trace=rows)
    quits = (Signal(0.602, "QUIT"),)
    off = LaunchDarkly(enabled=False)
    run = predict(Experiment(server, Host(), traffic, off, FREE, disturbances=quits))
    assert outcomes(run) == ["ok"] * 3
    assert list(run.requests.worker) == [1, 2, 2]
    assert run.requests.started[1] == pytest.approx(1.0, abs=0.02)


def test_a_response_that_ends_in_the_handler_of_sigquit_does_not_hurry_it() -> None:
    """The pool thread responds while the main thread sleeps in `handle_quit()`, until 0.95."""
    costs = replace(FREE, respond=0.1)
    run = run_of(GTHREAD, [(0.7, 0.1), (9.0, 0.0)], Signal(0.85, "QUIT"), costs=costs)
    assert outcomes(run) == ["ok", "ok"]
    assert run.requests.finished[0] == pytest.approx(0.9, abs=0.01)
    ((exiting, _),) = times(run, "exiting")
    assert exiting == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("signal", ["QUIT", "INT"])
@workers("sync", "gthread", "gthread 23", "gthread 20.1")
def test_a_worker_that_quits_as_its_boot_ends_is_never_ready(server: Server, signal: str) -> None:
    """Its main thread sleeps in `handle_quit()` from 1.95 on, and boots no further."""
    server = replace(server, preload_app=False)
    run = run_of(
        server,
        [(9.0, 0.0)],
        Signal(1.0, "KILL"),
        Signal(1.95, signal, worker=2),
        costs=replace(FREE, boot=1.0),
    )
    assert [process for _, process in times(run, "ready")] == ["worker 1", "worker 3"]
    ((exiting, process),) = times(run, "exiting")
    assert exiting == pytest.approx(2.05, abs=0.01)
    assert process == "worker 2"
    assert outcomes(run) == ["ok"]


@workers(*WORKERS)
def test_sigkill_ends_a_stopped_process(server: Server) -> None:
    """Nothing else does before SIGCONT (signal(7))."""
    stop, term, kill = Signal(1.0, "STOP"), Signal(1.5, "TERM"), Signal(2.0, "KILL")
    run = run_of(replace(server, timeout=0), [(0.5, 3.0), (9.0, 0.0)], stop, term, kill)
    assert outcomes(run) == ["reset", "ok"]
    assert run.requests.finished[0] == pytest.approx(2.0, abs=0.01)
    assert not times(run, "exiting")
    assert run.requests.worker[1] == 2


@workers(*WORKERS)
def test_a_second_sigterm_changes_nothing(server: Server) -> None:
    term = Signal(1.0, "TERM")
    rows = [(0.5, 3.0), (9.0, 0.0)]
    once, twice = run_of(server, rows, term), run_of(server, rows, term, replace(term, at=2.5))
    assert outcomes(once) == ["ok", "ok"]
    assert repr(once.requests) == repr(twice.requests)
    others = [[it for it in run.events if not it.kind.startswith("sent ")] for run in (once, twice)]
    assert others[0] == others[1]


def test_a_worker_at_its_limit_does_not_poll_for_what_it_keeps() -> None:
    """20.1 waits for one of its futures where it holds `worker_connections`, and does not select.

    The second connection's next request comes at 1.0, while its thread finishes the one before
    until 1.6. The first is kept too, at 6.3, so the main thread sees it when the third is closed.
    """
    server = replace(OLDEST, keepalive=20)
    rows = [(0.4, 5.0), (0.5, 0.2), (0.6, 9.0), (1.0, 0.0)]
    for worker_connections, seen in ((3, 11.5), (4, 1.6)):
        run = run_of(
            replace(server, worker_connections=worker_connections),
            rows,
            connection="keepalive",
            costs=replace(FREE, finish=0.9),
        )
        assert outcomes(run) == ["ok"] * 4
        assert run.requests.accepted[3] == pytest.approx(seen, abs=0.02)


# --- event loops ---------------------------------------------------------------------------------


@pytest.mark.parametrize("worker_class", ["gevent", "asgi"])
def test_an_orphan_that_is_stopped_too_leaves_once(worker_class: str) -> None:
    """Both come while the loop computes: it looks when it comes round, and finds SIGTERM first."""
    asked = traced(LOOPS[worker_class], (0.5, 0.0, 3.0), (6.0, 0.0, 0.0))
    killed = Signal(2.0, to="master", signal="KILL")
    run = predict(replace(asked, disturbances=(TO_WORKER["TERM"], killed)))
    assert [row.outcome for row in run.requests] == ["ok", "refused"]
    assert len(events(run, "exiting")) == 1
    assert not events(run, "orphaned")


@pytest.mark.parametrize("worker_class", ["gevent", "asgi"])
def test_an_orphan_that_is_stopped_too_waits_for_what_it_holds(worker_class: str) -> None:
    """It finds both at 3.5; one request waits until 5.4."""
    rows = ((0.4, 5.0, 0.0), (0.5, 0.0, 3.0), (9.0, 0.0, 0.0))
    killed = Signal(2.0, to="master", signal="KILL")
    asked = traced(LOOPS[worker_class], *rows)
    run = predict(replace(asked, disturbances=(TO_WORKER["TERM"], killed)))
    assert outcomes(run) == ["ok", "ok", "refused"]
    ((exiting, _),) = events(run, "exiting")
    assert 5.4 <= exiting < 6.5


@pytest.mark.parametrize("signal", ["TERM", "QUIT", "INT"])
def test_a_gevent_worker_whose_hub_is_gone_has_no_handlers_that_run(signal: str) -> None:
    """They are greenlets, or change what `run()` looks for, which is over. Python takes 3 s."""
    asked = replace(
        traced(LOOPS["gevent"], (0.5, 0.0, 0.0), (9.0, 0.0, 0.0)), costs=replace(FREE, exit=3.0)
    )
    term = TO_WORKER["TERM"]
    once = predict(replace(asked, disturbances=(term,)))
    again = predict(replace(asked, disturbances=(term, replace(TO_WORKER[signal], at=3.5))))
    assert events(once, "exit") == events(again, "exit")
    assert events(once, "exiting") == events(again, "exiting")


def test_sigabrt_ends_what_blocks_a_gevent_worker() -> None:
    """`SystemExit` is raised in the request that blocks, 8 s before that would return."""
    asked = traced(
        replace(LOOPS["gevent"], timeout=1, graceful_timeout=30),
        (0.5, 10.0, 0.0),
        (12.0, 0.0, 0.0),
        blocking_io=1.0,
    )
    run = predict(asked)
    ((timeout, _),) = events(run, "timeout")
    first, second = run.requests
    assert (first.outcome, second.outcome) == ("reset", "ok")
    assert first.finished == pytest.approx(timeout, abs=0.01)
    ((exit_, worker), *_) = events(run, "exit")
    assert (exit_ < 5.0, worker) == (True, "worker 1")
    assert second.worker == 2


def test_a_uvicorn_worker_closes_first_what_a_proxy_closes_too() -> None:
    """Idle ones: nginx closes one at 1.1, and `shutdown()` all of them.

    The loop computes until 2.5 and finds both then, the tick of `main_loop()` first.
    """
    asked = replace(
        traced(LOOPS["uvicorn"], (0.0, 0.1, 0.0), (0.0, 0.1, 0.0), (0.5, 0.0, 2.0), (6.0, 0, 0)),
        proxy=Proxy("nginx", keepalive=4, idle_timeout=1.0),
        disturbances=(Signal(0.8, "TERM"),),
    )
    run = predict(asked)
    assert outcomes(run) == ["ok"] * 4
    ((ended, worker),) = events(run, "exit")
    assert ended == pytest.approx(2.5, abs=0.3)
    assert worker == "worker 1"
    assert run.requests.worker[3] == 2


@pytest.mark.parametrize("worker_class", ["gevent", "asgi", "uvicorn"])
def test_a_connection_that_both_sides_close_is_closed_once(worker_class: str) -> None:
    """Gunicorn's 2 s are over at 2.1 and nginx's at 2.6, and the loop computes until 3.0."""
    asked = replace(
        traced(LOOPS[worker_class], (0.0, 0.1, 0.0), (0.0, 0.1, 0.0), (0.5, 0.0, 2.5), (9.0, 0, 0)),
        proxy=Proxy("nginx", keepalive=4, idle_timeout=2.5),
    )
    assert outcomes(predict(asked)) == ["ok"] * 4


def test_an_idle_connection_that_expires_as_uvicorn_stops_is_closed_once() -> None:
    """`main_loop()` ends at the tick after 0.8, `keepalive` at 2.1; the loop computes until 3.0."""
    rows = ((0.0, 0.1, 0.0), (0.0, 0.1, 0.0), (0.5, 0.0, 2.5), (9.0, 0.0, 0.0))
    asked = traced(LOOPS["uvicorn"], *rows, connection="keepalive")
    run = predict(replace(asked, disturbances=(Signal(0.8, "TERM"),)))
    assert outcomes(run) == ["ok"] * 4
    assert run.requests.worker[3] == 2


@workers("gthread", "gevent", "asgi")
def test_a_worker_does_not_keep_what_is_closed_before_it_has_finished(server: Server) -> None:
    """It finishes for 0.5 s, and nginx closes its idle connection after 0.1.

    A worker that kept it would not end before `keepalive`, which is over at 3.5 at the earliest.
    """
    run = run_of(
        replace(server, keepalive=3),
        [(0.0, 0.0), (9.0, 0.0)],
        Signal(1.0, "TERM"),
        costs=replace(FREE, finish=0.5),
        proxy=Proxy("nginx", keepalive=4, idle_timeout=0.1),
    )
    assert outcomes(run) == ["ok", "ok"]
    ((ended, _),) = times(run, "exit")
    assert ended < 2.3


def test_gevent_without_keepalive_waits_for_a_silent_client_for_ever() -> None:
    """`timeout_ctx()` is `gevent.Timeout(self.cfg.keepalive or None, False)`."""
    late = Distribution("const", (3.0,))
    run = predict(traced(replace(LOOPS["gevent"], keepalive=0), (0.0, 0.0, 0.0), first_byte=late))
    assert outcomes(run) == ["ok"]
    assert run.requests.started[0] == pytest.approx(3.0, abs=0.01)


def test_a_request_may_end_while_gevent_stops_its_server() -> None:
    """It looks at 1.75, waits for 2 s, and `server.stop(timeout=1)` for 1 s more, until 4.75."""
    server = replace(LOOPS["gevent"], graceful_timeout=2)
    asked = traced(server, (0.5, 3.7, 0.0), (9.0, 0.0, 0.0))
    run = predict(replace(asked, disturbances=(TO_WORKER["TERM"],)))
    assert outcomes(run) == ["ok", "ok"]
    ((ended, _),) = events(run, "exit")
    assert ended == pytest.approx(4.2, abs=0.05)


def test_a_cancelled_task_is_not_resumed_by_its_timer() -> None:
    """Its client leaves at 1.5, and it is cancelled at 4.5; it would have slept until 10.5."""
    asked = traced(LOOPS["asgi"], (0.5, 10.0, 5.0), (10.6, 0.0, 0.0), timeout=1.0)
    run = predict(asked)
    assert outcomes(run) == ["timeout", "ok"]
    assert run.requests.started[1] == pytest.approx(10.6, abs=0.01)


def test_a_client_of_asgi_that_leaves_before_its_kept_connection_is_read() -> None:
    """The loop computes until 2.5, reads what was given up at 2.0, and cancels it at 5.5.

    Otherwise it would compute from 12.5 on, while the last request waits.
    """
    rows = ((0.0, 0.1, 0.0), (0.0, 0.1, 0.0), (0.5, 0.0, 2.0), (1.0, 10.0, 5.0), (13.0, 0.0, 0.0))
    asked = traced(LOOPS["asgi"], *rows, connection="keepalive", timeout=1.0)
    assert outcomes(predict(asked)) == ["ok", "ok", "timeout", "timeout", "ok"]


def test_sigabrt_twice_is_one_callback_of_asgi() -> None:
    """The loop computes until 2.5, and finds both then."""
    asked = traced(LOOPS["asgi"], (0.5, 0.0, 2.0), (1.0, 0.0, 0.0), (9.0, 0.0, 0.0))
    abort = TO_WORKER["ABRT"]
    once = predict(replace(asked, disturbances=(abort,)))
    twice = predict(replace(asked, disturbances=(abort, replace(abort, at=1.5))))
    assert events(once, "exit") == events(twice, "exit")
    assert outcomes(once) == outcomes(twice)


def test_python_joins_a_function_that_sigabrt_has_left_alone() -> None:
    """SIGQUIT waits for it, SIGABRT ends that wait at 2.5, and the process ends at 4.5."""
    asked = traced(LOOPS["asgi"], (0.5, 4.0, 0.0), (9.0, 0.0, 0.0), endpoint="def")
    signals = (TO_WORKER["QUIT"], replace(TO_WORKER["ABRT"], at=2.5))
    run = predict(replace(asked, disturbances=signals))
    assert outcomes(run) == ["reset", "ok"]
    assert run.requests.finished[0] == pytest.approx(2.5, abs=0.01)
    ((ended, _),) = events(run, "exit")
    assert ended == pytest.approx(4.5, abs=0.05)


# --- gthread -------------------------------------------------------------------------------------


def test_an_orphan_of_gthread_says_so_and_serves_what_it_holds() -> None:
    run = run_of(GTHREAD, [(0.5, 3.0)], Signal(1.0, "KILL", "master"))
    assert outcomes(run) == ["ok"]
    ((orphaned, process),) = times(run, "orphaned")
    assert process == "worker 1"
    assert orphaned <= 2.0 + 0.01


@pytest.mark.parametrize("release", ["20.1.0", "23.0.0", "24.1.1", "27.0.0"])
def test_a_stopping_worker_closes_what_its_response_has_kept(release: str) -> None:
    """The header said keep-alive before SIGTERM came; only 27.0.1 lets such connections linger."""
    server = replace(GTHREAD, gunicorn=release, keepalive=20)
    rows = [(0.5, 1.0), (1.6, 0.0), (9.0, 0.0)]
    run = run_of(server, rows, Signal(1.0, "TERM"), connection="keepalive")
    assert outcomes(run) == ["ok"] * 3
    ((exiting, _),) = times(run, "exiting")
    assert exiting == pytest.approx(1.5, abs=0.01)
    assert list(run.requests.worker) == [1, 2, 2]


@pytest.mark.parametrize(("server", "outcome"), [(OLD, "reset"), (OLDEST, "ok")])
def test_sigterm_comes_as_an_old_worker_accepts(server: Server, outcome: str) -> None:
    """It sees SIGTERM at the head of its loop, at 1.0.

    From 21 on the connection is on the poller by then, which is closed unread; 20.1 has given it to
    the pool. `futures.wait()` is over with the request, and nothing comes of `graceful_timeout`.
    """
    run = run_of(
        replace(server, graceful_timeout=2),
        [(0.5, 0.1), (9.0, 0.0)],
        Signal(0.6, "TERM"),
        costs=replace(FREE, accept=0.5, follow=0.1),
    )
    assert outcomes(run) == [outcome, "ok"]
    ((exiting, _),) = times(run, "exiting")
    assert exiting == pytest.approx(1.0 if outcome == "reset" else 1.1, abs=0.02)


def test_sigquit_ends_a_worker_that_spins() -> None:
    """23.0 holds all connections that it may, has read none of them, and never polls again."""
    server = replace(OLD, threads=1, worker_connections=1)
    costs = replace(FREE, follow=0.001)
    run = run_of(server, [(0.5, 0.0), (9.0, 0.0)], Signal(2.0, "QUIT"), costs=costs)
    assert outcomes(run) == ["reset", "unfinished"]
    assert [process for _, process in times(run, "spins")] == ["worker 1", "worker 2"]
    ((exiting, _),) = times(run, "exiting")
    assert exiting == pytest.approx(2.1, abs=0.03)


# --- masters and the kernel ----------------------------------------------------------------------


def test_a_second_worker_that_cannot_boot_ends_the_master_as_it_halts() -> None:
    """`halt()` reaps in `stop()`, where `HaltServer` is raised again and nothing catches it.

    It has sent SIGTERM to the others by then.
    """
    server = replace(SYNC, workers=2, timeout=4)
    run = run_of(server, [(0.1, 0.0), (9.0, 0.0)], BootError(0.5), Signal(1.0, "HUP", "master"))
    assert not times(run, "halt")
    assert not times(run, "shutdown")
    assert {process for _, process in times(run, "exiting")} >= {"worker 1", "worker 2"}
    assert outcomes(run) == ["ok", "refused"]


def test_a_worker_that_a_stopping_master_kills_is_seldom_gone_before_it() -> None:
    """`stop()` reaps right after its SIGKILL: on real servers 2 of 14 workers were gone by then."""
    server, hang = replace(SYNC, graceful_timeout=1), Hang(0.0, worker=1, threads=1, seconds=60.0)
    asked = Experiment(
        server,
        traffic=Traffic(arrivals="trace", trace=(TraceRow(0.1, 0.0, 0.0), TraceRow(5.0, 0.0, 0.0))),
        costs=FREE,
        disturbances=(hang, Signal(1.0, "TERM", "master")),
    )
    reaped = sum(bool(times(predict(replace(asked, seed=seed)), "exit")) for seed in range(1, 61))
    assert 1 <= reaped <= 20


def test_a_master_of_23_has_reaped_in_its_handler_as_it_stops() -> None:
    rows = [(0.5, 1.0), (5.0, 0.0)]
    run = run_of(replace(SYNC, gunicorn="23.0.0"), rows, Signal(1.0, "TERM", "master"))
    assert outcomes(run) == ["ok", "refused"]
    assert [process for _, process in times(run, "exit")] == ["worker 1"]
    assert times(run, "shutdown")[0][0] == pytest.approx(1.6, abs=0.1)


@pytest.mark.parametrize(("to", "outcome"), [("worker", "ok"), ("all", "refused")])
def test_a_syn_finds_another_socket_of_the_port(to: Literal["worker", "all"], outcome: str) -> None:
    """`reuse_port` of 24 and later: each worker has a socket of its own, which dies with it.

    The SYN of the fourth was dropped at 0.1, and is sent again at 1.1: to the next worker's socket
    (`__inet_lookup_listener`), or to a port where nobody listens.
    """
    server = replace(SYNC, reuse_port=True, backlog=1)
    rows = [(0.0, 9.0), (0.02, 0.0), (0.04, 0.0), (0.1, 0.0)]
    run = run_of(server, rows, Signal(0.5, "KILL", to))
    assert outcomes(run) == ["reset", "reset", "reset", outcome]
    assert run.requests.finished[3] == pytest.approx(1.1, abs=0.05)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_a_stopped_worker_that_waits_for_the_core_computes_on(order: tuple[int, int]) -> None:
    """Two compute for 1 s each on one core; both are stopped at 0.5, one as it waits its turn."""
    rows = (TraceRow(0.0, 0.0, 1.0), TraceRow(0.0, 0.0, 1.0))
    signals = tuple(
        Signal(at, signal, worker=worker)
        for at, signal in ((0.5, "STOP"), (2.0, "CONT"))
        for worker in order
    )
    asked = Experiment(
        replace(SYNC, workers=2, timeout=0),
        Host(cores=1, clients="remote"),
        Traffic(arrivals="trace", trace=rows),
        LaunchDarkly(enabled=False),
        FREE,
        disturbances=signals,
    )
    run = predict(asked)
    assert sorted(run.requests.worker) == [1, 2]
    assert max(run.requests.finished) == pytest.approx(3.5, abs=0.01)


def test_a_client_that_leaves_while_the_proxy_reads_the_response_gets_none() -> None:
    """The proxy has the response at 0.1 and computes until 0.4; the client gives up at 0.2."""
    run = run_of(
        GTHREAD,
        [(0.0, 0.1), (2.0, 0.1)],
        costs=replace(FREE, proxy_response=0.3),
        proxy=Proxy("nginx", keepalive=4),
        timeout=0.2,
    )
    assert outcomes(run) == ["timeout", "timeout"]
    assert run.requests.started == pytest.approx([0.0, 2.0], abs=0.01)


def test_a_proxy_does_not_close_what_it_has_yet_to_find_closed() -> None:
    """Gunicorn closes at 2.0, nginx learns of it at 2.2, and would have closed at 2.1 itself."""
    run = run_of(
        GTHREAD,
        [(0.0, 0.0), (5.0, 0.0)],
        costs=replace(FREE, send=0.2),
        proxy=Proxy("nginx", keepalive=4, idle_timeout=2.1),
    )
    assert outcomes(run) == ["ok", "ok"]


def test_a_response_at_the_end_of_the_drain_counts() -> None:
    """Both come 1 s after the last arrival."""
    run = run_of(SYNC, [(0.0, 1.0)], drain=1.0)
    assert outcomes(run) == ["ok"]
