"""What must hold in every run is asserted, and each assertion fires when it does not hold.

Goal: a change that breaks an invariant of the model ends a run, not its figures. Method: break each
by hand, in a run or a part of one; `test_compiled.py` shows that compiled code predicts the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from machine import MS, Machine

from sim.experiment import Experiment, Server, Traffic
from sim.experiment.costs import Costs
from sim.model.connection import Connection
from sim.model.engine.clock import ALL_CALLS, Clock
from sim.model.gunicorn.gthread import ThreadWorker
from sim.model.gunicorn.sync import SyncWorker
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.linux.scheduler import Cores
from sim.model.simulation import _Simulation
from sim.run import OK

EXPERIMENT = Experiment(
    Server(workers=2, threads=2), traffic=Traffic(rate=50.0, requests=100), replications=1
)


def simulation() -> _Simulation:
    return _Simulation(EXPERIMENT, 0, 0, None)


def idle_worker() -> ThreadWorker:
    """A worker that has served all its requests."""
    whole = simulation()
    whole.advance(ALL_CALLS)
    whole.run()
    worker = gthread(whole)
    assert worker.nr_conns == 0
    return worker


def broken_at(seconds: float, change: Callable[[_Simulation], None]) -> None:
    """Run an experiment in which something is changed behind the model's back."""
    broken = simulation()
    broken.clock.after(seconds, lambda _: change(broken), None)
    broken.advance(ALL_CALLS)
    broken.run()


def gthread(broken: _Simulation) -> ThreadWorker:
    """The first worker."""
    worker = broken.workers[0]
    assert isinstance(worker, ThreadWorker)
    return worker


def test_nothing_fires_where_nothing_is_broken() -> None:
    broken_at(1.0, lambda _: None)


def test_time_never_runs_back() -> None:
    def change(broken: _Simulation) -> None:
        broken.clock.time += 1.0

    with pytest.raises(AssertionError, match="time never runs back"):
        broken_at(1.0, change)
    with pytest.raises(AssertionError, match="nothing is due in the past"):
        Clock().after(-1e-9, print, None)


@pytest.mark.parametrize(("free", "words"), [(1, "no more"), (-2, "has an idle core|idle, not")])
def test_idle_cores_are_within_range(free: int, words: str) -> None:
    def change(broken: _Simulation) -> None:
        broken.cores.free += free

    with pytest.raises(AssertionError, match=words):
        broken_at(1.0, change)


def test_cores_and_queues_are_counted() -> None:
    def found(change: Callable[[Cores], None]) -> str:
        machine = Machine(cores=2)
        a, b = machine.process(), machine.process()
        b.main_thread.core = a.main_thread.core
        machine.compute(a, "a", 50.0)
        machine.compute(b, "b", 50.0, at=1.0)
        machine.at(1.1, lambda: change(machine.cores))
        with pytest.raises(AssertionError) as caught:
            machine.run()
        return str(caught.value)

    def queue(cores: Cores) -> None:
        cores.queued += 1

    assert "threads wait for a core, not" in found(queue)


def test_one_thread_of_a_process_holds_the_gil() -> None:
    machine = Machine(cores=2)
    gil = machine.process()
    machine.compute(gil, "a", 10.0)

    def forget() -> None:
        # As if nobody had the GIL, while its thread computes.
        gil.holder = None
        gil.compute(5.0 * MS, machine.note, "b")

    machine.at(1.0, forget)
    with pytest.raises(AssertionError, match="one thread of a process holds the GIL"):
        machine.run()


def test_a_thread_computes_on_the_core_that_it_has() -> None:
    machine = Machine(cores=2)
    gil = machine.process()
    machine.compute(gil, "a", 10.0)

    def steal() -> None:
        assert gil.core is not None
        gil.core.running = None

    machine.at(1.0, steal)
    with pytest.raises(AssertionError, match="a thread computes on the core that it has"):
        machine.run()


def test_nr_conns_counts_the_connections_and_has_a_limit() -> None:
    def more(broken: _Simulation) -> None:
        gthread(broken).nr_conns += 1

    def fewer(broken: _Simulation) -> None:
        gthread(broken).nr_conns -= 1

    def limit(broken: _Simulation) -> None:
        gthread(broken).worker_connections = 0

    for change in (more, fewer, limit):
        with pytest.raises(AssertionError, match="nr_conns"):
            broken_at(1.0, change)


def test_a_connection_ends_once() -> None:
    worker = idle_worker()
    connection = Connection(0, 0)
    connection.accepted = 0.0
    worker._hold(connection)
    with pytest.raises(AssertionError, match="a connection is accepted once"):
        worker._hold(connection)
    worker.nr_conns = 1
    worker.finish_request(connection)
    assert worker.nr_conns == 0
    with pytest.raises(AssertionError, match="a connection ends once"):
        worker.finish_request(connection)


def test_a_turn_of_the_main_thread_has_what_was_ready() -> None:
    worker = idle_worker()
    worker.to_finish = 1
    with pytest.raises(AssertionError, match="only this turn finishes requests"):
        worker._dispatch(None)
    worker.to_finish, worker.to_read = 0, 1
    with pytest.raises(AssertionError, match="only this turn reads"):
        worker._dispatch(None)


def test_a_thread_idles_once() -> None:
    worker = idle_worker()
    with pytest.raises(AssertionError, match="a thread idles once"):
        worker._take_next(worker.threads[0])


def test_a_sync_worker_has_one_request_at_a_time() -> None:
    server = replace(EXPERIMENT.server, worker_class="sync", threads=1)
    traffic = replace(EXPERIMENT.traffic, rate=5.0)
    broken = _Simulation(replace(EXPERIMENT, server=server, traffic=traffic), 0, 0, None)

    def take_another(_: None) -> None:
        for worker in broken.workers:
            assert isinstance(worker, SyncWorker)
            if worker.sleeping:
                worker.connection = Connection(0, 0)

    broken.clock.after(10.0, take_another, None)
    with pytest.raises(AssertionError, match="one request at a time"):
        broken.advance(ALL_CALLS)


def test_a_response_that_matters_is_an_event() -> None:
    clients = simulation().clients
    clients.answers_matter = True
    with pytest.raises(AssertionError, match="a response that matters"):
        clients.answer_in_passing(Connection(0, 0), 0.0)


def test_a_request_ends_once() -> None:
    def answer(broken: _Simulation) -> None:
        row = next(at for at, outcome in enumerate(broken.source.rows.outcome) if outcome != OK)
        broken.source.rows.outcome[row] = OK

    with pytest.raises(AssertionError, match="a request ends once"):
        broken_at(1.0, answer)


def test_queues_are_consistent() -> None:
    clock, poller = Clock(), idle_worker()
    machine = Machine(cores=2)
    listener = ListeningSocket(
        clock, 1, 4096, machine.cores, Costs(), Random(1), lambda _: None, lambda: None, fair=True
    )
    for _ in range(2):
        assert listener.connect(Connection(0, 0))
    assert not listener.connect(Connection(0, 0))
    with pytest.raises(AssertionError, match="no poller sleeps while a connection waits"):
        listener.sleep(poller)
    listener.queue.append(Connection(0, 0))
    first, *others = listener.queue
    first.queued = 1.0
    with pytest.raises(AssertionError, match="a connection is accepted after it came"):
        listener.accept()
    for connection in (first, *others):
        listener.queue.append(connection)
    next(iter(listener.queue)).queued = 0.0
    with pytest.raises(AssertionError, match="no more than its limit"):
        listener.accept()
    with pytest.raises(AssertionError, match="handshakes are forgotten once"):
        listener.drop_request_sock(young=True)
