"""Does to the running server what the experiment says is done to it, at the time that it says."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from reference_app.rig.deployment import Deployment
from reference_app.rig.server import RunningServer
from sim.experiment.disturbance import (
    BootError,
    Crash,
    Disturbance,
    FlagService,
    Hang,
    Rollout,
    Signal,
)
from sim.run import ProcessEvent

#: s that the thread may take to end, once it is told to.
PATIENCE = 20.0


class Disturber:
    """A thread that waits for each disturbance's time and does it.

    Attributes:
        events: what was done so far, at the times at which it was done.
    """

    def __init__(
        self,
        disturbances: tuple[Disturbance, ...],
        server: RunningServer,
        deployment: Deployment | None = None,
    ) -> None:
        self.events: list[ProcessEvent] = []
        self._disturbances = disturbances
        self._server = server
        self._deployment = deployment
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._error: Exception | None = None

    def begin(self, start: float) -> None:
        """Begin; the run starts at ``start``, CLOCK_MONOTONIC s, in a moment.

        The master's loop begins a turn now, for it looks after its workers once a second, and a
        repetition of the experiment is to find it at the same point.
        """
        with suppress(ProcessLookupError):
            os.kill(self._server.master_pid, signal.SIGCHLD)
        if self._disturbances:
            self._thread = threading.Thread(target=self._run, args=(start,), daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Do nothing more.

        Raises:
            Exception: that has kept the thread from doing what it was to do.
        """
        self._over.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)
        if self._error is not None:
            raise self._error

    def _run(self, start: float) -> None:
        try:
            for disturbance in self._disturbances:
                if self._over.wait(max(0.0, start + disturbance.at - time.monotonic())):
                    return
                at = time.monotonic() - start
                if isinstance(disturbance, Rollout):
                    assert self._deployment is not None, "what is rolled out has a deployment"
                    self._deployment.roll_out(disturbance)
                else:
                    self._do(disturbance)
                self.events.append(ProcessEvent(*disturbance.event())._replace(time=at))
        except Exception as error:
            self._error = error

    def _do(self, disturbance: Disturbance) -> None:
        server = self._server
        match disturbance:
            case Signal(to="master", signal=name):
                # The pid of one that was reaped may be anybody's.
                if not server.container.ended():
                    os.kill(server.master_pid, signal.Signals[f"SIG{name}"])
            case Signal(to="all", signal=name):
                for pid in server.pids():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.Signals[f"SIG{name}"])
            case Signal(signal=name, worker=worker):
                for pid in self._pid(worker):
                    os.kill(pid, signal.Signals[f"SIG{name}"])
            case Crash(worker=worker):
                assert server.traps is not None, "a server that is to crash has traps"
                for pid in self._pid(worker):
                    server.traps.set_crash(pid)
            case Hang(worker=worker, threads=threads, seconds=seconds):
                assert server.traps is not None, "a server that is to hang has traps"
                for pid in self._pid(worker):
                    server.traps.set_hang(pid, threads, seconds)
            case BootError(exit_code=exit_code):
                assert server.traps is not None, "a server that is not to boot has traps"
                server.traps.set_boot_error(exit_code)
            case FlagService(reachable=reachable, latency=latency):
                assert server.flag_service is not None, "the experiment has LaunchDarkly"
                server.flag_service.change(reachable=reachable, latency=latency)
            # A `Rate` is in the schedule of arrivals already.

    def _pid(self, worker: int) -> Iterator[int]:
        """The worker's pid, if it lives."""
        process = self._server.living_workers().get(worker)
        if process is not None:
            yield process.pid


@contextmanager
def disturber(
    disturbances: tuple[Disturbance, ...],
    server: RunningServer,
    deployment: Deployment | None = None,
) -> Iterator[Disturber]:
    """A `Disturber` that ends with the ``with`` block; ``deployment`` does its rollouts."""
    disturbing = Disturber(disturbances, server, deployment)
    try:
        yield disturbing
    finally:
        disturbing.end()
