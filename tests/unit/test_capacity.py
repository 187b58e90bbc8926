"""How many threads could serve, from each kind of event."""

from __future__ import annotations

import pytest
from disturbed_run import BOOT, events_of

from sim.analysis.capacity import ENDS, capacity


def steps(*events: tuple[float, str, str], threads: int = 2) -> list[tuple[float, int]]:
    """The capacity after the boot of two workers."""
    found = capacity(events_of(*BOOT, *events), threads)[2:]
    return [(step.time, step.threads) for step in found]


def test_a_worker_brings_its_threads_when_it_is_ready() -> None:
    assert capacity(events_of(*BOOT), 2) == [(-0.2, 2), (-0.1, 4)]
    assert capacity((), 2) == []


@pytest.mark.parametrize("kind", sorted(ENDS - {"boot failed"}))
def test_each_end_takes_what_the_worker_had_and_only_once(kind: str) -> None:
    last = (2.0, "exit", "worker 1")
    assert steps((1.0, kind, "worker 1"), last) == [(1.0, 2)]


def test_the_whole_life_of_a_worker_that_restarts() -> None:
    assert steps(
        (1.0, "max_requests", "worker 1"),
        (1.5, "exiting", "worker 1"),
        (1.6, "exit", "worker 1"),
        (1.6, "fork", "worker 3"),
        (2.0, "ready", "worker 3"),
    ) == [(1.0, 2), (2.0, 4)]


def test_a_hang_takes_a_thread_until_it_is_over() -> None:
    assert steps(
        (1.0, "hang", "worker 2"),
        (2.0, "hang", "worker 2"),
        (3.0, "hang over", "worker 2"),
        (4.0, "hang over", "worker 2"),
    ) == [(1.0, 3), (2.0, 2), (3.0, 3), (4.0, 4)]


def test_a_hang_that_outlives_its_worker_gives_nothing_back() -> None:
    assert steps(
        (1.0, "hang", "worker 1"),
        (2.0, "sent SIGKILL", "worker 1"),
        (2.1, "exit", "worker 1"),
        (3.0, "hang over", "worker 1"),
    ) == [(1.0, 3), (2.0, 2)]


def test_a_stopped_worker_serves_nothing_until_it_continues() -> None:
    assert steps(
        (1.0, "hang", "worker 1"),
        (2.0, "sent SIGSTOP", "worker 1"),
        (3.0, "hang over", "worker 1"),
        (4.0, "sent SIGCONT", "worker 1"),
    ) == [(1.0, 3), (2.0, 2), (4.0, 4)]


def test_other_events_change_nothing() -> None:
    assert not steps(
        (1.0, "sent SIGTERM", "master"),
        (1.0, "sent SIGKILL", "master"),
        (1.1, "signal HUP", "master"),
        (1.2, "hang set", "worker 1"),
        (1.3, "crash set", "worker 1"),
        (1.5, "unreachable", "flag service"),
        (1.6, "exit", "worker 9"),
        (1.7, "sent SIGCONT", "worker 1"),
    )


@pytest.mark.parametrize("signal", ["term", "int", "quit"])
def test_nobody_accepts_once_the_master_handles_its_end(signal: str) -> None:
    ending = ((1.0, f"signal {signal}", "master"), (6.0, "exiting", "worker 1"))
    assert steps(*ending) == [(1.0, 0)]


@pytest.mark.parametrize("signal", ["TERM", "INT", "QUIT", "ABRT"])
def test_a_worker_that_is_told_to_end_accepts_no_more(signal: str) -> None:
    told = ((1.0, f"sent SIG{signal}", "worker 1"), (6.0, "exiting", "worker 1"))
    assert steps(*told) == [(1.0, 2)]


def test_a_signal_to_all_processes_ends_all_capacity() -> None:
    assert steps((1.0, "sent SIGKILL", "all processes"), (1.1, "exit", "worker 1")) == [(1.0, 0)]


def test_a_reload_leaves_what_is_ready_of_the_new_workers() -> None:
    # SIGTERM to the old ones follows the last fork, whoever is ready by then.
    assert steps(
        (1.0, "signal hup", "master"),
        (1.1, "fork", "worker 3"),
        (1.2, "fork", "worker 4"),
        (1.5, "ready", "worker 3"),
        (1.6, "ready", "worker 4"),
        (9.0, "exiting", "worker 1"),
        (9.0, "exiting", "worker 2"),
    ) == [(1.2, 0), (1.5, 2), (1.6, 4)]


def test_the_oldest_worker_is_the_one_too_many() -> None:
    assert steps((1.0, "signal ttou", "master"), (5.0, "exiting", "worker 1")) == [(1.0, 2)]


def test_a_worker_that_cannot_boot_ends_all_capacity_when_it_is_reaped() -> None:
    assert steps(
        (1.0, "exit", "worker 1"),
        (1.0, "fork", "worker 3"),
        (1.5, "boot failed", "worker 3"),
        (1.6, "exit", "worker 3"),
        (1.7, "exiting", "worker 2"),
    ) == [(1.0, 2), (1.6, 0)]


def test_the_end_of_the_first_of_two_masters_leaves_the_second() -> None:
    assert steps(
        (1.0, "signal usr2", "master"),
        (1.2, "listening", "master 2"),
        (1.3, "fork", "worker 3"),
        (1.4, "ready", "worker 3"),
        (1.5, "fork", "worker 4"),
        (1.6, "ready", "worker 4"),
        (2.0, "signal term", "master"),
    ) == [(1.4, 6), (1.6, 8), (2.0, 4)]


def test_workers_of_a_second_master_count() -> None:
    assert steps((1.0, "ready", "worker 3"), (1.1, "exiting", "worker 1")) == [(1.0, 6), (1.1, 4)]


def test_no_two_steps_at_one_time() -> None:
    replaced = ((1.0, "exiting", "worker 1"), (1.0, "ready", "worker 3"))
    assert steps(*replaced) == []
    assert steps(*replaced, (1.0, "ready", "worker 4")) == [(1.0, 6)]
