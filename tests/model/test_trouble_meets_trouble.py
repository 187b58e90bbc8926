"""Trouble that comes while other trouble is under way: who is lost then, and when.

Goal: hold the model to Gunicorn's source and Linux's rules where two things meet that each have
tests of their own. Method: a request or two by the moment, so that each time can be told.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from event_loops import TO_WORKER, events, traced
from moments import FREE, run_of, times
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
from sim.experiment.disturbance import Signal
from sim.model import predict

SYNC = Server(workers=1, preload_app=True)
GTHREAD = Server(workers=1, threads=2, preload_app=True)
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
