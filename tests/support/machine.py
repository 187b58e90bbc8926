"""A machine of cores and processes for tests of the scheduler and the GIL, in ms."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from sim.experiment.costs import Costs
from sim.model.cpython.gil import Gil
from sim.model.engine.clock import Call, Clock
from sim.model.linux.scheduler import Cores, Thread

MS = 1e-3


class Machine:
    """A clock, some cores, and what was done when.

    Attributes:
        clock: of the machine.
        cores: of the machine.
        done: ms at which each named computation was over, in that order.
    """

    def __init__(self, cores: int, seed: int = 1) -> None:
        self.random = Random(seed)
        self.clock = Clock()
        costs = Costs(handover=0.0)
        self.cores = Cores(self.clock, Random(seed), costs, cores, cores)
        self.done: dict[str, float] = {}

    def process(self) -> Gil:
        """Another process, with a GIL of its own."""
        return Gil(self.clock, self.cores, self.random)

    def at(self, ms: float, action: Callable[[], None]) -> None:
        """Do something at a time."""
        Call(self.clock, lambda _: action()).after(ms * MS)

    def compute(
        self, gil: Gil, name: str, ms: float, *, at: float = 0.0, thread: Thread | None = None
    ) -> None:
        """Let a thread of a process compute for ``ms`` from ``at`` on: the main one, if none."""
        self.at(at, lambda: gil.compute(ms * MS, self.note, name, thread))

    def note(self, name: str) -> None:
        """A computation is over."""
        self.done[name] = self.clock.time / MS

    def run(self, ms: float = 1_000.0) -> dict[str, float]:
        """Everything that is done within ``ms``."""
        self.clock.run_until(self.clock.timeout(ms * MS))
        return self.done
