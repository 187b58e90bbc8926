"""Which process computes on which core, and when. Times are in ms.

What was measured is in `MEASURED`: processes that sleep and compute by turns, without Gunicorn, on
two virtual cores of Linux 6.18 (`python tests/support/process_turns.py` measures it here).
"""

from __future__ import annotations

from functools import partial
from math import exp
from random import Random
from statistics import mean, quantiles

import pytest
from machine import MS, Machine
from process_turns import MEASURED

from sim.experiment.costs import Costs
from sim.model.cpython.gil import Gil
from sim.model.fitted.scheduler import BALANCE, KEEP, PASSED
from sim.model.linux.scheduler import Thread, slice_of


class SleepAndCompute:
    """A process that sleeps, computes, and so on.

    Attributes:
        took: ms that each computation took.
    """

    def __init__(self, machine: Machine, sleeps: float, computes: float, random: Random) -> None:
        self.machine = machine
        self.gil = Gil(machine.clock, machine.cores, Random(random.random()))
        self.sleeps, self.computes = sleeps, computes
        self.random = random
        self.took: list[float] = []
        self.sleep()

    def sleep(self) -> None:
        """Sleep for an exponential time."""
        seconds = self.random.expovariate(1 / self.sleeps) * MS
        self.machine.clock.after(seconds, self.compute, None)

    def compute(self, _: None) -> None:
        """Begin to compute."""
        began = self.machine.clock.time
        self.gil.compute(self.computes * MS, self.done, began)

    def done(self, began: float) -> None:
        """Note how long it took, and sleep again."""
        self.took.append((self.machine.clock.time - began) / MS)
        self.sleep()


@pytest.mark.parametrize(("processes", "measured"), MEASURED)
def test_processes_that_sleep_and_compute_share_two_cores_as_on_linux(
    processes: tuple[int, float, float], measured: tuple[float, ...]
) -> None:
    number, sleeps, computes = processes
    machine = Machine(cores=2)
    random = Random(5)
    them = [SleepAndCompute(machine, sleeps, computes, random) for _ in range(number)]
    machine.run(120_000.0)
    took = [ms for process in them for ms in process.took]
    percentiles = quantiles(took, n=20)
    assert len(took) / 120 == pytest.approx(measured[0], rel=0.02)
    assert mean(took) == pytest.approx(measured[1], rel=0.02)
    assert percentiles[9] == pytest.approx(measured[2], rel=0.04)
    assert percentiles[18] == pytest.approx(measured[3], rel=0.03)


def test_processes_take_turns_of_a_slice_on_one_core() -> None:
    machine = Machine(cores=1)
    machine.compute(machine.process(), "a", 4.0)
    machine.compute(machine.process(), "b", 4.0, at=1.5)
    # b takes the core when it wakes up; then b 0.7, a 0.7, b 0.7, a 0.7, ..., a 0.4, b 1.2.
    assert machine.cores.slice == 0.7 * MS
    assert machine.run() == {"a": pytest.approx(6.8), "b": pytest.approx(8.0)}


@pytest.mark.parametrize(
    ("cores", "ms"), [(1, 0.7), (2, 1.4), (3, 1.4), (4, 2.1), (7, 2.1), (8, 2.8), (64, 2.8)]
)
def test_the_slice_grows_with_the_logarithm_of_the_cores(cores: int, ms: float) -> None:
    # `get_update_sysctl_factor` of kernel/sched/fair.c: 1 + ilog2(cores), 8 cores at most.
    assert slice_of(cores) == pytest.approx(ms * MS)
    assert Machine(cores).cores.slice == slice_of(cores)


def test_a_thread_with_the_core_keeps_it_for_the_hosts_slice() -> None:
    # All four cores compute; a thread that wakes up behind one of them waits for its slice.
    waits = []
    for seed in range(40):
        machine = Machine(cores=4, seed=seed)
        them = [machine.process() for _ in range(4)]
        for gil in them:
            machine.compute(gil, "long", 30.0)
        core = them[0].main_thread.core
        other = machine.process()
        other.main_thread.core = core
        machine.compute(other, "short", 0.1, at=0.5)
        waits.append(machine.run()["short"])
    # It takes the core at once, or when its slice of 2.1 ms is over: 0.6 or 2.2 ms.
    assert {round(wait, 1) for wait in waits} == {0.6, 2.2}


def test_a_process_that_wakes_up_takes_the_core_from_one_that_has_had_its_slice() -> None:
    machine = Machine(cores=1)
    machine.compute(machine.process(), "long", 50.0)
    machine.compute(machine.process(), "short", 0.5, at=20.0)
    assert machine.run() == {"short": pytest.approx(20.5), "long": pytest.approx(50.5)}


def test_a_process_mostly_keeps_the_core_for_a_slice() -> None:
    ends = []
    for seed in range(200):
        machine = Machine(cores=1, seed=seed)
        machine.compute(machine.process(), "first", 50.0)
        machine.compute(machine.process(), "second", 0.5, at=0.4)
        ends.append(round(machine.run()["second"], 6))
    assert set(ends) == {0.9, 1.2}
    assert ends.count(1.2) / 200 == pytest.approx(KEEP, abs=0.1)


def test_one_that_waits_for_the_core_may_come_before_a_moment_of_another() -> None:
    ends = []
    for seed in range(300):
        machine = Machine(cores=1, seed=seed)
        machine.compute(machine.process(), "a", 50.0)
        machine.compute(machine.process(), "b", 50.0)
        machine.compute(machine.process(), "moment", 0.3, at=20.5)
        ends.append(round(machine.run()["moment"], 6))
    # It has the core at once, or after what is left of the slice, or after the next one too.
    assert set(ends) == {20.8, 21.3, 22.0}
    assert ends.count(22.0) / 300 == pytest.approx(PASSED, abs=0.08)


def test_nobody_keeps_the_core_from_the_load_generator() -> None:
    machine = Machine(cores=1)
    machine.compute(machine.process(), "worker", 50.0)
    client = Gil(machine.clock, machine.cores, None)
    machine.compute(client, "client", 0.3, at=0.4)
    # It does not lose the rest of its slice by that.
    machine.compute(machine.process(), "other", 2.0, at=1.65)
    done = machine.run()
    assert done["client"] == pytest.approx(0.7)
    assert done["other"] > 1.7 + 2.0 - 1e-9


def test_processes_do_not_disturb_each_other_where_each_has_its_core() -> None:
    machine = Machine(cores=2)
    machine.compute(machine.process(), "a", 10.0)
    machine.compute(machine.process(), "b", 30.0)
    assert machine.run() == {"a": pytest.approx(10.0), "b": pytest.approx(30.0)}


def test_a_core_that_idles_takes_one_of_those_that_wait_for_another_after_a_while() -> None:
    pulled = []
    for seed in range(400):
        machine = Machine(cores=2, seed=seed)
        gils = [machine.process() for _ in range(2)]
        # Both ran on the same core before.
        for gil in gils:
            gil.main_thread.core = machine.cores.each[0]
        machine.compute(gils[0], "a", 100.0)
        machine.compute(gils[1], "b", 100.0, at=10.0)
        # Unless b has found the other core, the two have one until then.
        pulled.append(sum(machine.run().values()) - 210.0)
    waited = [ms for ms in pulled if ms > 1e-6]
    assert len(waited) / 400 == pytest.approx(1 - Costs().wake_idle, abs=0.06)
    assert mean(waited) == pytest.approx(Costs().pull / MS, rel=0.15)


def test_longer_queues_pass_threads_to_shorter_ones() -> None:
    machine = Machine(cores=2)
    for name in "abcd":
        gil = machine.process()
        gil.main_thread.core = machine.cores.each[0]
        machine.compute(gil, name, 100.0)
    done = machine.run()
    # Were three on one core, the first would be over after 100 ms and the last after 233.
    assert min(done.values()) > 150.0
    assert max(done.values()) == pytest.approx(200.0, abs=15.0)
    assert machine.cores.free == 2
    assert machine.cores.queued == 0


def until_even(seed: int) -> float:
    """The ms after which one of two threads that wait for the same core waits for the other."""
    machine = Machine(cores=2, seed=seed)
    one, other = machine.cores.each
    for core in (other, one, one, one):
        gil = machine.process()
        gil.main_thread.core = core
        machine.compute(gil, "long", 1_000.0)
    machine.run(0.1)
    while len(one.queue) == 2:
        machine.run(0.5)
    return machine.clock.time / MS


def test_a_busy_core_seldom_takes_one_from_a_longer_queue() -> None:
    waited = mean(until_even(seed) for seed in range(400))
    assert waited == pytest.approx(Costs().pull / BALANCE / MS, rel=0.15)


def test_a_lone_thread_does_its_work_in_the_order_in_which_it_comes() -> None:
    machine = Machine(cores=1)
    machine.compute(machine.process(), "other", 10.0)
    client = Gil(machine.clock, machine.cores, None)
    for name in "abcd":
        machine.compute(client, name, 0.5)
    assert [name for name in machine.run() if name != "other"] == list("abcd")


def test_new_threads_are_spread_over_the_cores() -> None:
    machine = Machine(cores=4)
    homes = [Thread(machine.cores.home()).core for _ in range(8)]
    assert {id(core): homes.count(core) for core in homes} == {
        id(core): 2 for core in machine.cores.each
    }


def test_a_core_that_idles_or_will_soon_is_counted_besides_the_clients() -> None:
    machine = Machine(cores=2)
    gil = machine.process()
    found: list[int] = [machine.cores.idle_elsewhere(0.0)]
    machine.compute(gil, "a", 2.0, at=1.0)
    for ms in (2.0, 3.5):
        machine.at(ms, lambda: found.append(machine.cores.idle_elsewhere(0.0)))
    # What is over as soon as the client sleeps is as good as idle.
    for ms in (2.0, 2.8):
        machine.at(ms, lambda: found.append(machine.cores.idle_elsewhere(0.0005)))
    machine.run()
    assert found == [1, 0, 0, 1, 1]


def test_all_cores_that_idle_are_counted_besides_the_clients() -> None:
    machine = Machine(cores=8)
    for name in "abcdef":
        machine.compute(machine.process(), name, 10.0)
    found: list[int] = [machine.cores.idle_elsewhere(0.0)]
    machine.at(5.0, lambda: found.append(machine.cores.idle_elsewhere(0.0)))
    machine.compute(machine.process(), "g", 10.0, at=6.0)
    machine.at(7.0, lambda: found.append(machine.cores.idle_elsewhere(0.0)))
    machine.run()
    assert found == [7, 1, 0]


@pytest.mark.parametrize(("idle_first", "idle_later"), [(3, 1), (1, 3)])
def test_the_rate_of_pulls_follows_the_number_of_cores_that_idle(
    idle_first: int, idle_later: int
) -> None:
    # a and b share a core from 10 ms on. At 11 ms two more of the four cores are taken, or idle.
    pull, waited = Costs().pull / MS, []
    for seed in range(2_000):
        machine = Machine(cores=4, seed=seed)
        cores = machine.cores
        a, b, *others = (machine.process() for _ in range(4))
        b.main_thread.core = a.main_thread.core = cores.each[0]
        machine.compute(a, "a", 100.0)
        machine.compute(b, "b", 100.0, at=10.0)
        for number, gil in enumerate(others):
            if idle_first < idle_later:
                gil.main_thread.core = cores.each[1 + number]
                machine.compute(gil, f"other {number}", 11.0)
            else:
                machine.at(11.0, partial(occupy, machine, gil))
        done = machine.run()
        waited.append(done["a"] + done["b"] - 210.0)
    waited = [ms for ms in waited if ms > 1e-6]
    stays = exp(-idle_first / pull)
    expected = (1 - stays) * pull / idle_first + stays * pull / idle_later
    assert len(waited) > 1_500
    assert mean(waited) == pytest.approx(expected, rel=0.08)


def occupy(machine: Machine, gil: Gil) -> None:
    """Compute for long on a core that idles."""
    core = machine.cores.idle_core()
    assert core is not None
    gil.main_thread.core = core
    gil.compute(200.0 * MS, machine.note, "other")
