"""Wires the parts, runs them, and returns what happened.

::

    Clients --connect--> ListeningSocket --wake--> worker 1..n --answer--> Clients
                                                      ^
                                   Arbiter --fork-----+        Cores <--- one Gil a worker
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from itertools import count
from random import Random

from simpy import Event

from sim.experiment import Experiment
from sim.experiment_file import to_dict
from sim.model.client import Clients
from sim.model.clock import Clock
from sim.model.cpu import Cores, Gil
from sim.model.gthread import ThreadWorker
from sim.model.kernel import ListeningSocket
from sim.model.master import Arbiter
from sim.model.recorder import Recorder
from sim.model.sync import SyncWorker
from sim.model.worker import Worker
from sim.run import QueueLength, Run
from sim.traffic import LEAD, source, stream


def predict(experiment: Experiment, replication: int = 0, variant: int = 0) -> Run:
    """Predict one replication of ``experiment``.

    Args:
        experiment: what to predict.
        replication: which arrivals and demands; every replication has its own.
        variant: which chances of the server (races between workers, gaps between forks) on those
            same arrivals and demands: a repeated measurement differs in these.

    Returns:
        The same run, byte for byte, for the same arguments.
    """
    return _Simulation(experiment, replication, variant).run()


class _Simulation:
    """The parts of one run, wired."""

    def __init__(self, experiment: Experiment, replication: int, variant: int) -> None:
        self.experiment = experiment
        self.replication = replication
        self.clock = clock = Clock()
        traffic, server, costs = experiment.traffic, experiment.server, experiment.costs
        self.source = source(experiment, replication)
        self.recorder = Recorder(self.source.rows)

        def chance(of: str) -> Random:
            return stream(experiment, replication, f"variant {variant} {of}")

        self.cores = Cores(experiment.host.cores)
        self.listeners = self._listeners(chance("accept"))
        self.clients = Clients(
            clock,
            costs,
            self.source,
            self.recorder,
            self._choice_of_listener(chance("reuse_port")),
            keep=traffic.connection == "keepalive",
            drain=traffic.drain,
        )
        self.workers = self._workers()
        self.arbiter = Arbiter(
            clock,
            server,
            experiment.launchdarkly,
            costs,
            self.recorder,
            chance("fork"),
            lambda boot_order: self.workers[boot_order - 1].run(),
        )

    def _listeners(self, random: Random) -> list[ListeningSocket]:
        server, host = self.experiment.server, self.experiment.host
        return [
            ListeningSocket(
                self.clock,
                server.backlog,
                host.somaxconn,
                self.cores,
                self.experiment.costs,
                random,
                fair=server.worker_class == "sync",
            )
            for _ in range(server.workers if server.reuse_port else 1)
        ]

    def _choice_of_listener(self, random: Random) -> Callable[[], ListeningSocket]:
        listeners = self.listeners
        if len(listeners) == 1:
            only = listeners[0]
            return lambda: only
        # `reuseport_select_sock` (net/core/sock_reuseport.c) takes a hash of the connection's
        # addresses and ports, which is uniform over the client's ephemeral ports.
        return lambda: random.choice(listeners)

    def _workers(self) -> list[Worker]:
        experiment, clock = self.experiment, self.clock
        server, costs = experiment.server, experiment.costs
        registrations = count(1)
        workers: list[Worker] = []
        for boot_order in range(1, server.workers + 1):
            gil = Gil(clock, self.cores)
            listener = self.listeners[(boot_order - 1) % len(self.listeners)]
            if server.worker_class == "sync":
                workers.append(
                    SyncWorker(clock, boot_order, costs, gil, listener, self.clients, self.recorder)
                )
            else:
                workers.append(
                    ThreadWorker(
                        clock,
                        boot_order,
                        server,
                        costs,
                        gil,
                        listener,
                        self.clients,
                        self.recorder,
                        registrations,
                    )
                )
        return workers

    def _life(self) -> Generator[Event, object, None]:
        yield self.clock.process(self.arbiter.run())
        yield self.clock.timeout(LEAD)
        self.recorder.start = self.clock.time
        self.clients.begin()
        yield self.clients.finished

    def run(self) -> Run:
        """Boot the server, send it every request, and collect what was recorded."""
        self.clock.run_until(self.clock.process(self._life()))
        return Run(
            "sim",
            to_dict(self.experiment),
            self.replication,
            self.source.rows,
            self.recorder.process_events(),
            self._queues(),
        )

    def _queues(self) -> tuple[QueueLength, ...]:
        """Time averages by Little's law: the sum of all waits, divided by the time."""
        # A run without a request, or in which nothing takes time, may take none.
        span = self.clock.time - self.recorder.start or math.inf
        accept = QueueLength(
            "accept queue",
            sum(listener.waited for listener in self.listeners) / span,
            max(listener.longest for listener in self.listeners),
        )
        inside = (
            QueueLength(f"worker {w.boot_order}", w.waited / span, w.longest) for w in self.workers
        )
        return (accept, *inside)
