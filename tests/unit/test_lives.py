"""Lives of workers that are told to end twice: which reason counts, and what is no reason."""

from __future__ import annotations

import math

import pytest
from disturbed_run import disturbed_run

from sim.analysis.lives import EARLY, Life, Lives, Unready, read
from sim.experiment.disturbance import Signal

Event = tuple[float, str, str]


def worker_1(*events: Event) -> Life:
    """Worker 1 of two, after what happened."""
    lives = read(disturbed_run((), events).events, (), 2)
    return next(life for life in lives.lives if life.name == "worker 1")


def test_a_time_without_the_pod_has_both_of_its_ends() -> None:
    lives = Lives(unready=[Unready(10.0, 12.0, None)])
    # Sums of floats are not exact: a moment too early or too late is of it, another is not.
    for time in (10.0, 10.0 - EARLY / 2, 12.0, 12.0 + EARLY / 2):
        assert lives.unready_at(time) == lives.unready[0]
    for time in (10.0 - 2 * EARLY, 12.0 + 2 * EARLY):
        assert lives.unready_at(time) is None


TERM = ((10.0, "sent SIGTERM", "worker 1"),)
STOP = ((10.0, "sent SIGTERM", "master"), (10.0, "signal term", "master"))


@pytest.mark.parametrize(
    ("events", "why", "accepted_until"),
    [
        # A graceful stop that has begun is what it is, whatever comes while it lasts.
        ((*TERM, (10.5, "max_requests", "worker 1")), "stopped", 10.0),
        ((*TERM, (10.5, "orphaned", "worker 1")), "stopped", 10.0),
        ((*TERM, (10.5, "sent SIGTERM", "worker 1")), "stopped", 10.0),
        ((*TERM, (10.5, "sent SIGQUIT", "worker 1")), "stopped", 10.0),
        # But SIGKILL and SIGABRT override it, the master's too, and a crash does.
        ((*TERM, (10.5, "timeout", "worker 1")), "timeout", 10.0),
        (((9.0, "max_requests", "worker 1"), (10.5, "timeout", "worker 1")), "timeout", 9.0),
        ((*TERM, (10.5, "sent SIGKILL", "worker 1")), "killed", 10.0),
        ((*TERM, (10.5, "crash", "worker 1")), "crashed", 10.0),
        # A master that stops tells those that are alive; a killed one is not stopped.
        ((*STOP, (10.1, "exit", "worker 1")), "stopped", 10.0),
        (((9.0, "sent SIGKILL", "worker 1"), *STOP), "killed", 9.0),
        # Signals that end nobody.
        (((10.0, "sent SIGUSR1", "worker 1"),), "alive", math.inf),
    ],
)
def test_the_reason_that_counts(events: tuple[Event, ...], why: str, accepted_until: float) -> None:
    life = worker_1(*events)
    assert (life.why, life.accepted_until) == (why, accepted_until)


def test_a_quick_stop_during_a_graceful_one_closes_connections() -> None:
    assert worker_1(*TERM).ending == math.inf
    assert worker_1(*TERM, (10.5, "sent SIGQUIT", "worker 1")).ending == 10.5


def test_a_reload_replaces_those_that_still_accept() -> None:
    reload = (
        (9.9, "max_requests", "worker 1"),
        (10.0, "signal hup", "master"),
        (10.1, "fork", "worker 3"),
        (10.2, "fork", "worker 4"),
    )
    lives = read(disturbed_run((), reload).events, (), 2)
    first, second, third, _ = lives.lives
    assert (first.why, first.accepted_until, first.replacement) == ("max_requests", 9.9, None)
    assert (second.why, second.accepted_until, second.replacement) == ("stopped", 10.2, third)


def test_sigttou_ends_nobody_where_one_worker_is_left() -> None:
    # Arbiter.handle_ttou: it returns where num_workers <= 1.
    ttou = ((10.0, "sent SIGTTOU", "master"), (10.001, "signal ttou", "master"))
    (life,) = read(disturbed_run((), ttou, workers=1).events, (), 1).lives
    assert (life.why, life.accepted_until) == ("alive", math.inf)


def test_sigttou_ends_nobody_where_one_worker_is_missing_already() -> None:
    # Arbiter.manage_workers: it kills only while there are more than num_workers.
    events = (
        (10.0, "sent SIGKILL", "worker 1"),
        (10.0, "sent SIGTTOU", "master"),
        (10.001, "signal ttou", "master"),
    )
    killed, other = read(disturbed_run((), events).events, (), 2).lives
    assert (killed.why, other.why) == ("killed", "alive")


def test_a_worker_too_many_is_due_to_sigttin() -> None:
    ttin = Signal(10.0, "TTIN", "master")
    events = (
        (10.0, "sent SIGTTIN", "master"),
        (10.001, "signal ttin", "master"),
        (10.1, "fork", "worker 3"),
        (10.2, "boot failed", "worker 3"),
        (10.3, "exit", "worker 3"),
    )
    lives = read(disturbed_run([ttin], events).events, [ttin], 2)
    third = lives.lives[2]
    assert (third.name, third.why, third.cause) == ("worker 3", "boot failed", 0)
    # A worker that cannot boot stops its master.
    assert lives.stops["master"].cause == 0
