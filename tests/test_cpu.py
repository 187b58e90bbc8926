"""Who computes when: the GIL inside a process, the cores between processes. Times are in ms."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from statistics import mean

import pytest

from sim.model.clock import Call, Clock
from sim.model.cpu import PROTECTED, STEALS, SWITCH_INTERVAL, TIME_SLICE, Cores, Gil

MS = 1e-3


class Machine:
    """A clock, some cores, and what was done when.

    Attributes:
        clock: of the machine.
        cores: of the machine.
        done: ms at which each named computation was over.
    """

    def __init__(self, cores: int, seed: int = 1) -> None:
        self.random = Random(seed)
        self.clock = Clock()
        self.cores = Cores(cores, cores)
        self.done: dict[str, float] = {}

    def process(self) -> Gil:
        """Another process, with a GIL of its own."""
        return Gil(self.clock, self.cores, self.random)

    def at(self, ms: float, action: Callable[[], None]) -> None:
        """Do something at a time."""
        Call(self.clock, lambda _: action()).after(ms * MS)

    def compute(self, gil: Gil, name: str, ms: float, *, at: float = 0.0) -> None:
        """Let a thread of a process compute for ``ms`` from ``at`` on."""
        self.at(at, lambda: gil.compute(ms * MS, self.note, name))

    def note(self, name: str) -> None:
        """A computation is over."""
        self.done[name] = self.clock.time / MS

    def run(self, ms: float = 1_000.0) -> dict[str, float]:
        """Everything that is done within ``ms``."""
        self.clock.run_until(self.clock.timeout(ms * MS))
        return self.done


def test_the_intervals_are_those_of_cpython_and_linux() -> None:
    # The tests below count with them.
    assert SWITCH_INTERVAL == 5 * MS
    assert TIME_SLICE == 8 * MS


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


def test_processes_take_turns_on_one_core() -> None:
    machine = Machine(cores=1)
    machine.compute(machine.process(), "a", 10.0)
    machine.compute(machine.process(), "b", 10.0)
    # a 8, b 8, a 2, b 2.
    assert machine.run() == {"a": pytest.approx(18.0), "b": pytest.approx(20.0)}


def test_a_process_that_wakes_up_takes_the_core_from_one_that_has_computed() -> None:
    machine = Machine(cores=1)
    machine.compute(machine.process(), "long", 50.0)
    machine.compute(machine.process(), "short", 1.0, at=20.0)
    assert machine.run() == {"short": pytest.approx(21.0), "long": pytest.approx(51.0)}


def test_a_process_that_has_just_got_a_core_keeps_it_for_a_moment() -> None:
    machine = Machine(cores=1)
    machine.compute(machine.process(), "first", 50.0)
    machine.compute(machine.process(), "second", 3.0, at=0.4)
    machine.compute(machine.process(), "third", 0.5, at=1.2)
    # The second begins at 1, and the third when that has had its millisecond.
    done = machine.run()
    assert done["third"] == pytest.approx(2.5)
    assert PROTECTED == 1 * MS


def test_processes_do_not_disturb_each_other_while_there_are_cores() -> None:
    machine = Machine(cores=2)
    machine.compute(machine.process(), "a", 10.0)
    machine.compute(machine.process(), "b", 30.0)
    assert machine.run() == {"a": pytest.approx(10.0), "b": pytest.approx(30.0)}


def test_no_core_idles_while_a_process_waits() -> None:
    machine = Machine(cores=2)
    for name in "abc":
        machine.compute(machine.process(), name, 40.0)
    done = machine.run()
    # 120 ms of work on two cores; at the end one process may run alone for a slice or two.
    assert 60.0 - 1e-6 <= max(done.values()) <= 60.0 + 2 * TIME_SLICE / MS
    assert min(done.values()) >= 50.0
    assert machine.cores.free == 2
    assert not machine.cores.waiting


def test_threads_share_what_their_process_gets_of_the_core() -> None:
    machine = Machine(cores=1)
    two_threads = machine.process()
    machine.compute(two_threads, "a1", 20.0)
    machine.compute(two_threads, "a2", 20.0)
    machine.compute(machine.process(), "b", 20.0)
    done = machine.run()
    assert done["b"] == pytest.approx(40.0, abs=TIME_SLICE / MS)
    # Nothing is lost but the moment in which a thread wakes up for the GIL, while no core is free.
    assert max(done.values()) == pytest.approx(60.0, abs=0.2)
    assert done["a2"] == pytest.approx(60.0, abs=5.0)


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
    machine.at(0.0, lambda: gil.compute(1 * MS, lambda _: again(2 * MS, machine.note, "a"), ""))
    machine.compute(gil, "b", 3.0)
    assert machine.run() == pytest.approx(done)


def test_two_threads_that_compute_pass_the_gil_to_each_other_and_starve_a_third() -> None:
    # The one that lost it last asks for it, and is awake: the third gets it by chance only.
    waits = []
    for seed in range(200):
        machine = Machine(cores=2, seed=seed)
        gil = machine.process()
        machine.compute(gil, "a", 500.0)
        machine.compute(gil, "b", 500.0)
        machine.compute(gil, "third", 0.1, at=101.0)
        waits.append(machine.run(2_000.0)["third"] - 101.0)
    switches = mean(waits) / (SWITCH_INTERVAL / MS)
    # Geometric, with the first chance half an interval after it came.
    assert switches == pytest.approx(1 / (1 - STEALS) - 0.5, rel=0.2)
    assert max(waits) > 50.0


def test_a_lone_thread_does_its_work_in_the_order_in_which_it_comes() -> None:
    machine = Machine(cores=1)
    client = Gil(machine.clock, machine.cores, None)
    for name in "abcd":
        machine.compute(client, name, 0.5)
    assert list(machine.run()) == list("abcd")


def test_a_thread_that_has_computed_gets_the_gil_late_where_no_core_is_free() -> None:
    machine = Machine(cores=2)
    crowded = machine.process()
    machine.compute(machine.process(), "other", 100.0)
    machine.compute(crowded, "a", 12.0)
    machine.compute(crowded, "b", 40.0, at=1.0)
    # When a is over at 22 ms, b waits for a tick, and a thread that wakes up then comes before it.
    machine.compute(crowded, "fresh", 0.2, at=22.01)
    done = machine.run()
    assert done["a"] == pytest.approx(22.0)
    assert done["fresh"] == pytest.approx(22.21)


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


def test_how_long_no_core_has_begun_a_request() -> None:
    machine = Machine(cores=2)
    gil = machine.process()
    idle: list[float] = []
    assert machine.cores.idle_for(0.0) == math.inf
    machine.compute(gil, "a", 2.0, at=1.0)
    machine.compute(gil, "b", 1.0, at=6.0)

    def begin() -> None:
        machine.cores.last_begun = machine.clock.time

    # Who is busy is nobody to win a race; what ends at 7 ms, an answer, does not count afterwards.
    machine.at(3.0, begin)
    for ms in (2.0, 3.5, 6.5, 10.0):
        machine.at(ms, lambda: idle.append(machine.cores.idle_for(machine.clock.time) / MS))
    machine.run()
    assert idle == [math.inf, pytest.approx(0.5), math.inf, pytest.approx(7.0)]
