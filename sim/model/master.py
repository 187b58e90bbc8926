"""The master (gunicorn/arbiter.py): it listens, forks, and is never on a request's way.

::

    import (preload) -> listen -> fork worker 1 -> gap -> fork worker 2 -> ...
                                    |
                                    +-> post_fork -> import (no preload) -> ready
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from random import Random

from simpy import Event, Process

from sim.costs import Costs
from sim.experiment import LaunchDarkly, Server
from sim.model.clock import Clock
from sim.model.launchdarkly import start_seconds
from sim.model.recorder import Recorder

#: `spawn_workers()` sleeps ``0.1 * random.random()`` s after every fork.
LONGEST_GAP = 0.1


class Arbiter:
    """The master process, as far as it boots workers.

    Constants: ``clock``, ``server``, ``launchdarkly``, ``costs``, ``recorder``, ``random`` (stream
    of the gaps between forks), ``worker_runs`` (called with the boot order of a ready worker).
    """

    def __init__(
        self,
        clock: Clock,
        server: Server,
        launchdarkly: LaunchDarkly,
        costs: Costs,
        recorder: Recorder,
        random: Random,
        worker_runs: Callable[[int], None],
    ) -> None:
        self.clock = clock
        self.server = server
        self.launchdarkly = launchdarkly
        self.costs = costs
        self.recorder = recorder
        self.random = random
        self.worker_runs = worker_runs

    def run(self) -> Generator[Event, object, None]:
        """`Arbiter.run()` until every worker is ready."""
        clock, recorder = self.clock, self.recorder
        if self.server.preload_app:
            yield clock.timeout(self._import())
        if not self.server.reuse_port:
            recorder.event(clock.time, "listening", "master")
        workers: list[Process] = []
        for worker_age in range(1, self.server.workers + 1):
            yield clock.timeout(self.costs.fork)
            workers.append(clock.process(self.spawn_worker(worker_age)))
            yield clock.timeout(LONGEST_GAP * self.random.random())
        yield clock.all_of(workers)

    def _import(self) -> float:
        """The application's module starts the LaunchDarkly client where it is imported."""
        return self.costs.import_app + start_seconds(self.launchdarkly)

    def spawn_worker(self, worker_age: int) -> Generator[Event, object, None]:
        """`spawn_worker()` in the child: from the fork until it accepts."""
        clock, recorder, name = self.clock, self.recorder, f"worker {worker_age}"
        recorder.event(clock.time, "fork", name)
        if self.server.preload_app:
            if self.launchdarkly.enabled:
                yield clock.timeout(start_seconds(self.launchdarkly))
                recorder.event(clock.time, "postfork", name)
        else:
            yield clock.timeout(self._import())
        yield clock.timeout(self.costs.boot)
        recorder.event(clock.time, "ready", name)
        self.worker_runs(worker_age)
