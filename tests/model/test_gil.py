"""Which thread has the GIL when: turns of the threads of one process. Times are in ms."""

from __future__ import annotations

from statistics import mean

import pytest
from machine import MS, Machine

from sim.model.cpython.gil import SWITCH_INTERVAL
from sim.model.fitted.gil import STEALS
from sim.model.fitted.scheduler import KEEP
from sim.model.linux.scheduler import Thread


def test_the_interval_is_that_of_cpython() -> None:
    # The tests below count with it.
    assert SWITCH_INTERVAL == 5 * MS


@pytest.mark.parametrize("ms", [0.0, 0.1, 4.0, 20.0, 300.0])
def test_who_is_alone_computes_without_a_break(ms: float) -> None:
    machine = Machine(cores=1)
    machine.compute(machine.process(), "a", ms, at=1.0)
    assert machine.run() == {"a": pytest.approx(1.0 + ms)}


def test_threads_of_one_process_take_turns_of_the_switch_interval() -> None:
    machine = Machine(cores=2)
    gil = machine.process()
    machine.compute(gil, "a", 12.0)
    machine.compute(gil, "b", 12.0)
    # a 5, b 5, a 5, b 5, a 2, b 2: a second core is of no use to them.
    assert machine.run() == {"a": pytest.approx(22.0), "b": pytest.approx(24.0)}


def test_who_has_waited_for_the_gil_has_to_wake_up_first() -> None:
    machine = Machine(cores=2)
    machine.cores.handover = 0.1 * MS
    gil = machine.process()
    machine.compute(gil, "first", 7.0)
    machine.compute(gil, "second", 4.0, at=1.0)
    # The first is cut at 6.0, and waits as well: 6.0 + 0.1 + 4.0, and 0.1 + 1.0 more.
    assert machine.run() == {"second": pytest.approx(10.1), "first": pytest.approx(11.2)}


# The second case: two intervals have passed, and what is left of the third is as short.
@pytest.mark.parametrize(("ms", "at"), [(3.0, 1.0), (12.0, 10.0)])
def test_who_needs_no_whole_interval_more_keeps_the_gil_to_the_end(ms: float, at: float) -> None:
    machine = Machine(cores=2)
    gil = machine.process()
    machine.compute(gil, "first", ms)
    machine.compute(gil, "second", 3.0, at=at)
    assert machine.run() == {"first": pytest.approx(ms), "second": pytest.approx(ms + 3.0)}


def test_convoy_behind_a_computing_thread() -> None:
    # Each time that the other thread comes back from its I/O, it waits a whole interval.
    machine = Machine(cores=2)
    gil = machine.process()
    machine.compute(gil, "long", 50.0)
    for number in range(3):
        machine.compute(gil, f"short {number}", 0.1, at=10.0 + 10.0 * number)
    done = machine.run()
    assert [done[f"short {number}"] for number in range(3)] == pytest.approx([15.1, 25.1, 35.1])
    assert done["long"] == pytest.approx(50.3)


@pytest.mark.parametrize(
    ("ms", "done"),
    [
        pytest.param(2.0, {"a": 3.0, "b": 4.0}, id="shortly"),
        pytest.param(20.0, {"b": 6.0, "a": 22.0}, id="beyond the switch interval"),
    ],
)
def test_who_goes_on_keeps_the_gil_for_the_switch_interval(
    ms: float, done: dict[str, float]
) -> None:
    machine = Machine(cores=2)
    gil = machine.process()
    machine.at(
        0.0, lambda: gil.compute(1 * MS, lambda _: gil.go_on(ms * MS, machine.note, "a"), "")
    )
    machine.compute(gil, "b", 1.0)
    assert machine.run() == pytest.approx(done)


@pytest.mark.parametrize(
    ("takes", "done"),
    [("let_go", {"b": 4.0, "a": 6.0}), ("compute_next", {"a": 3.0, "b": 6.0})],
)
def test_who_lets_go_of_the_gil_comes_last_and_who_is_quick_first(
    takes: str, done: dict[str, float]
) -> None:
    machine = Machine(cores=2)
    gil = machine.process()
    again = getattr(gil, takes)
    thread = gil.main_thread
    machine.at(
        0.0, lambda: gil.compute(1 * MS, lambda _: again(2 * MS, machine.note, "a", thread), "")
    )
    machine.compute(gil, "b", 3.0)
    assert machine.run() == pytest.approx(done)


@pytest.mark.parametrize("number", [1, 2])
def test_two_threads_that_compute_pass_the_gil_to_each_other_and_starve_a_third(
    number: int,
) -> None:
    # The one that lost it last asks for it, and is awake if it has a core of its own: the third
    # gets the GIL by chance only. On one core it is not, and the third gets it with the next turn.
    # Python alone, with the two bound to their cores: 13 to 22 ms, and 4 to 5 ms.
    waits = []
    for seed in range(200):
        machine = Machine(cores=number, seed=seed)
        gil = machine.process()
        cores = machine.cores.each
        machine.compute(gil, "a", 500.0, thread=Thread(cores[0]))
        machine.compute(gil, "b", 500.0, thread=Thread(cores[-1]))
        machine.compute(gil, "third", 0.1, at=101.0, thread=Thread(cores[0]))
        waits.append(machine.run(2_000.0)["third"] - 101.0)
    switches = mean(waits) / (SWITCH_INTERVAL / MS)
    if number == 1:
        assert switches < 2.0
    else:
        # Geometric, with the first chance half an interval after it came.
        assert switches == pytest.approx(1 / (1 - STEALS) - 0.5, rel=0.25)
        assert max(waits) > 50.0


def test_threads_share_what_their_process_gets_of_the_core() -> None:
    machine = Machine(cores=1)
    two_threads = machine.process()
    for name in ("a1", "a2"):
        machine.compute(two_threads, name, 20.0)
    machine.compute(machine.process(), "b", 20.0)
    done = machine.run()
    # The process of two threads has no more of the core than the other.
    assert done["b"] == pytest.approx(40.0, abs=4.0)
    assert max(done.values()) == pytest.approx(60.0)


def test_another_thread_takes_the_gil_while_the_one_that_was_woken_waits_for_a_core() -> None:
    quick = 0
    for seed in range(200):
        machine = Machine(cores=2, seed=seed)
        first, second = machine.cores.each
        crowded, other = machine.process(), machine.process()
        other.main_thread.core = second
        machine.compute(crowded, "a", 4.0, thread=Thread(first))
        machine.compute(crowded, "b", 4.0, at=1.0, thread=Thread(second))
        machine.compute(other, "other", 10.0, at=3.5)
        # When a is over at 4 ms, b is woken up behind the other process.
        machine.compute(crowded, "fresh", 0.2, at=4.1, thread=Thread(first))
        done = machine.run()
        assert done["a"] == pytest.approx(4.0)
        quick += done["fresh"] == pytest.approx(4.3)
    assert quick / 200 == pytest.approx(KEEP, abs=0.1)


def test_a_gil_is_busy_when_others_notice() -> None:
    machine = Machine(cores=2)
    gil = machine.process()
    busy: dict[float, bool] = {}
    machine.compute(gil, "short", 0.9)
    machine.compute(gil, "long", 8.0, at=2.0)
    for ms in (0.5, 1.5, 3.0, 9.5):
        machine.at(ms, lambda ms=ms: busy.update({ms: gil.busy()}))  # type: ignore[misc]
    machine.run()
    # At 9.5 ms it is nearly over.
    assert busy == {0.5: False, 1.5: False, 3.0: True, 9.5: False}


def test_only_who_has_just_computed_can_go_on() -> None:
    machine = Machine(cores=2)
    gil = machine.process()
    with pytest.raises(AssertionError, match="just computed"):
        gil.go_on(1 * MS, machine.note, "a")
    gil.compute(1 * MS, machine.note, "a")
    with pytest.raises(AssertionError, match="just computed"):
        gil.go_on(1 * MS, machine.note, "b")
