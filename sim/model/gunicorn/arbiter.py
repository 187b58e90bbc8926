"""The master (gunicorn/arbiter.py): it listens, forks, reaps, kills, and never touches a request.

::

    import (preload) -> listen -> manage_workers -> +-> wait_for_signals (1 s at most)
                                                    |   handle_*, reap_workers
                                                    |   murder_workers
                                                    +-- manage_workers

Methods and attributes have the names that they have there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from random import Random

from simpy import Event, Interrupt, Process

from sim.model.cpython.gil import Gil
from sim.model.engine.clock import Call
from sim.model.engine.infinity import inf
from sim.model.gunicorn.worker import Parent, Worker
from sim.model.launchdarkly import LDClient
from sim.model.linux.listening_socket import ListeningSocket
from sim.model.wiring import Wiring

#: `spawn_workers()` sleeps ``0.1 * random.random()`` s after every fork.
LONGEST_GAP = 0.1

#: s that the main loop waits for a signal (`wait_for_signals(timeout=1.0)`).
TICK = 1.0

#: s that `stop()` and `reload()` sleep between two `reap_workers()`.
LOOK = 0.1

#: s that workers have after a second, quick signal (`stop()`).
QUICK = 2.0

#: Probability that a worker which `stop()` kills with SIGKILL is gone when the master reaps right
#: after: it must run on the master's core to die. 2 of 14 times on real servers.
DIES_FIRST = 0.15

#: s by which rounding may make heartbeats seem earlier than they are.
ROUNDING = 1e-6

CHLD = "CHLD"

#: Why the master is interrupted when a handler of its own raises `HaltServer`.
HALT = "halt"

#: Makes a worker of the experiment's class.
NewWorker = Callable[[Wiring, Parent, ListeningSocket], Worker]

#: What a step of the master's program may wait for.
Steps = Generator[Event, object, None]


class HaltServer(Exception):  # noqa: N818 - Gunicorn's name
    """A worker could not boot."""


class _Stop(Exception):  # noqa: N818
    """The StopIteration of Gunicorn's handlers, which means something else in a generator."""


class Arbiter:
    """One master process.

    Constants:
        wiring, new_worker: what it is made with.
        name: ``master`` or ``master 2``.
        container: that it runs in, from 0.
        surge: whether that is of the pod which a rollout creates.
        random: stream of the gaps between forks.
        reexeced: called with the second master, when SIGUSR2 has started one.
        one_socket, reaps_at_once, reaps, waits_for_old, may_hurry, signal_queue: of the release;
            see `sim.experiment.release.Release`.

    State, under Gunicorn's names where it has one:
        WORKERS: children that have not been reaped, by their age.
        SIG_QUEUE: signals that have not been handled.
        LISTENERS: the listening sockets; none with ``--reuse-port``, where each worker has its own.
        handles: whether `init_signals()` has run.
        num_workers: how many workers there should be.
        worker_age: forks so far.
        reexec: the second master, while it lives; None before, and in the second.
        first: the first master, in the second, until it is promoted.
        boot_error, ldclient: see `Parent`.
        ended: whether the process is gone.
    """

    def __init__(
        self,
        wiring: Wiring,
        new_worker: NewWorker,
        reexeced: Callable[[Arbiter], None],
        first: Arbiter | None = None,
        container: int = 0,
        *,
        surge: bool = False,
    ) -> None:
        self.wiring = wiring
        self.new_worker = new_worker
        self.reexeced = reexeced
        self.first = first
        self.name = "master" if first is None and not surge else "master 2"
        self.container = container
        self.surge = surge
        # Not "master": the gaps of the first have been drawn from this stream all along.
        self.random = self._stream("fork" if first is None else "fork of master 2")
        self.clock = wiring.clock
        self.recorder = wiring.recorder
        self.costs = wiring.experiment.costs
        self.server = wiring.experiment.server
        self.WORKERS: dict[int, Worker] = {}
        self.SIG_QUEUE: deque[str] = deque()
        # A second master inherits them by its fork, long before it is ready.
        self.LISTENERS: list[ListeningSocket] = [] if first is None else list(first.LISTENERS)
        for listener in self.LISTENERS:
            listener.holders.add(self)
        self.num_workers = self.server.workers
        self.worker_age = 0
        release = wiring.release
        self.one_socket = not self.server.reuse_port or release.reuse_port == "inherited"
        self.reaps_at_once = release.sigchld == "in the handler"
        self.reaps = release.sigchld != "never"
        self.waits_for_old = release.sighup == "wait"
        self.may_hurry = release.second_signal == "quick"
        self.signal_queue = inf if release.signal_queue is None else release.signal_queue
        self._gil = self._limited_gil()
        self._woken = False
        self._late_from = -inf
        self.reexec: Arbiter | None = None
        self.boot_error: int = 0 if first is None else first.boot_error
        self.ldclient: LDClient | None = None
        self.handles = False
        self.ended = False
        self.spawned = self.clock.event()
        self.process: Process = self.clock.process(self._life())
        self._signalled = self.clock.event()

    def _stream(self, purpose: str) -> Random:
        """The random stream of a purpose, another in each container."""
        of = f" of container {self.container}" if self.container else ""
        pod = " of a new pod" if self.surge else ""
        return self.wiring.stream(purpose + of + pod)

    def _limited_gil(self) -> Gil | None:
        """Its own interpreter, where the CPU that it takes counts."""
        wiring = self.wiring
        if wiring.cpu_limit is None:
            return None
        return Gil(wiring.clock, wiring.cores, None, wiring.cpu_limit)

    def _compute(self, seconds: float) -> Event:
        """Compute; without a limit nobody waits for the master's core."""
        if self._gil is None:
            return self.clock.timeout(seconds)
        done = self.clock.event()

        def succeed(_: None) -> None:
            done.succeed()

        self._gil.compute(seconds, succeed, None)
        return done

    def _note(self, kind: str) -> None:
        self.recorder.event(self.clock.time, kind, self.name)

    # The start.

    def start(self) -> Steps:
        """`setup()` and `start()`: import the application, then listen."""
        experiment = self.wiring.experiment
        if self.first is not None or self.container or self.surge:
            yield self._compute(self.costs.reexec)
        if self.server.preload_app:
            yield self._compute(self.costs.import_app)
            if experiment.launchdarkly.enabled:
                stream = self._stream(f"{self.name} launchdarkly")
                self.ldclient = LDClient(self.clock, self.wiring.flag_service, stream)
                yield from self.ldclient.start(experiment.launchdarkly.start_wait)
        self.handles = True
        if self.one_socket:
            if self.first is None:
                self.LISTENERS = [self.wiring.listen()]
                self.LISTENERS[0].holders.add(self)
            self._note("listening")

    # Signals and children.

    def kill(self, signal: str) -> None:
        """`kill(2)`: send SIG``signal`` to the master."""
        if self.ended:
            return
        if signal == "KILL":
            self.process.interrupt()
        else:
            self.signal(signal)

    def signal(self, signal: str) -> None:
        """The handler: queue the signal, which ends the main loop's wait."""
        if len(self.SIG_QUEUE) < self.signal_queue:
            self.SIG_QUEUE.append(signal)
            self.wakeup()

    def child_changed(self) -> None:
        """See `Parent`."""
        if self.ended:
            return
        if not self.reaps_at_once:
            self.signal(CHLD)
            return
        try:
            self.reap_workers()
        except HaltServer:
            # Raised by the handler, wherever the master is.
            self.process.interrupt(HALT)
        self.wakeup()

    # The main loop.

    def _life(self) -> Steps:
        try:
            yield from self.run()
        except Interrupt:
            # SIGKILL.
            self._close_listeners()
        except HaltServer:
            # Raised again while it halts, where nothing catches it: the master ends.
            self._close_listeners()
        self.ended = True
        for worker in self.WORKERS.values():
            worker.lose_parent()

    def run(self) -> Steps:
        """`Arbiter.run()`."""
        yield from self.start()
        try:
            yield from self.manage_workers()
            self.spawned.succeed()
            while True:
                self.maybe_promote_master()
                for signal in (yield from self.wait_for_signals()):
                    yield from self._handle(signal)
                self.murder_workers()
                yield from self.manage_workers()
        except _Stop:
            yield from self.halt()
        except HaltServer:
            yield from self.halt("halt")
        except Interrupt as interrupt:
            if interrupt.cause != HALT:
                raise
            yield from self.halt("halt")

    def maybe_promote_master(self) -> None:
        """In the second master: notice that the first is gone."""
        if self.first is not None and self.first.ended:
            self.first = None
            self._note("promoted")

    def wakeup(self) -> None:
        """End the main loop's wait, or the next one."""
        self._woken = True
        if not self._signalled.triggered:
            self._signalled.succeed()

    def halt(self, why: str | None = None) -> Steps:
        """`halt()`: stop gracefully, and leave."""
        yield from self.stop()
        self._note("shutdown")
        if why is not None:
            self._note(why)

    def wait_for_signals(self) -> Generator[Event, object, Sequence[str]]:
        """The signals that have come, once there is one, or after a `TICK`."""
        if not self.SIG_QUEUE and not self._woken:
            self._signalled = signalled = self.clock.event()

            def time_out(_: Call) -> None:
                if not signalled.triggered:
                    signalled.succeed()

            # Not SimPy's `|`: a long run has many ticks, and all but a few are idle.
            Call(self.clock, time_out).after(TICK + self.costs.timer_slack)
            yield signalled
        signals = tuple(self.SIG_QUEUE)
        self.SIG_QUEUE.clear()
        self._woken = False
        return signals

    def _handle(self, signal: str) -> Steps:
        if signal == CHLD:
            if self.reaps:
                self.reap_workers()
            return
        self._note(f"signal {signal.lower()}")
        if signal == "HUP":
            yield from self.reload()
        elif signal == "TTIN":
            self.num_workers += 1
            yield from self.manage_workers()
        elif signal == "TTOU":
            if self.num_workers > 1:
                self.num_workers -= 1
                yield from self.manage_workers()
        elif signal == "USR2":
            self._reexec()
        elif signal == "TERM":
            raise _Stop
        else:
            yield from self.stop(graceful=False)
            raise _Stop

    def stop(self, *, graceful: bool = True) -> Steps:
        """`stop()`: no more connections; workers have `graceful_timeout` s, or are killed."""
        # A Unix socket that no other master needs: clients do not find it any more, while workers
        # may yet accept what is queued.
        alone = self.first is None and (self.reexec is None or self.reexec.ended)
        if self.server.unix and alone:
            for listener in self.LISTENERS:
                listener.unlink()
        self._close_listeners()
        limit = self.clock.time + self.server.graceful_timeout
        self.kill_workers("TERM" if graceful else "QUIT")
        quick = not graceful
        while self.WORKERS and self.clock.time < limit:
            hurry = self.may_hurry and not quick
            if hurry and self.SIG_QUEUE and self.SIG_QUEUE.popleft() in ("INT", "QUIT"):
                quick = True
                self.kill_workers("QUIT")
                limit = self.clock.time + QUICK
            self.reap_workers()
            yield self.clock.timeout(LOOK + self.costs.timer_slack)
        self.kill_workers("KILL")
        if self.reaps_at_once:
            return
        if self.WORKERS and self.random.random() < DIES_FIRST:
            yield self.clock.timeout(self.costs.kill)
        self.reap_workers()

    def _reexec(self) -> None:
        """`reexec()`: a second master, on the same sockets, beside this one."""
        if self.reexec is None and self.first is None:
            self.reexec = Arbiter(self.wiring, self.new_worker, self.reexeced, self, self.container)
            self.reexeced(self.reexec)

    def _close_listeners(self) -> None:
        for listener in self.LISTENERS:
            for connection in listener.close(self):
                self.wiring.clients.closed(connection)
        self.LISTENERS = []

    def reload(self) -> Steps:
        """`reload()`, on SIGHUP: new workers first, then SIGTERM to the old ones; it may wait."""
        yield self._compute(self.costs.reload)
        self.num_workers = self.server.workers
        last_worker_age = self.worker_age
        for _ in range(self.num_workers):
            yield from self.spawn_worker()
        yield from self.manage_workers()
        if not self.waits_for_old:
            return
        deadline = self.clock.time + self.server.graceful_timeout
        while self.clock.time < deadline and min(self.WORKERS, default=0) <= last_worker_age:
            if not self.WORKERS:
                break
            self.reap_workers()
            yield self.clock.timeout(LOOK + self.costs.timer_slack)

    # Workers.

    def murder_workers(self) -> None:
        """SIGABRT to workers without a heartbeat for `timeout` s, SIGKILL a turn later."""
        timeout, now = self.server.timeout, self.clock.time
        if not timeout or now < self._late_from:
            return
        oldest = now
        for worker in list(self.WORKERS.values()):
            updated = worker.last_update()
            oldest = min(oldest, updated)
            if now - updated <= timeout:
                continue
            if not worker.aborted:
                self.recorder.event(now, "timeout", worker.name)
                worker.aborted = True
                worker.kill("ABRT")
            else:
                worker.kill("KILL")
        # Gunicorn compares every time. Heartbeats only become later: no worker is late before this.
        self._late_from = oldest + timeout - ROUNDING

    def reap_workers(self) -> None:
        """`waitpid(2)` for all that have ended.

        Linux goes through the children in the order of their forks, not of their ends
        (`do_wait_thread()` in kernel/exit.c).

        Raises:
            HaltServer: when one could not boot; the zombies behind it stay for the next time.
        """
        for age in sorted(age for age, worker in self.WORKERS.items() if worker.ended):
            worker = self.WORKERS.pop(age)
            self.recorder.event(self.clock.time, "exit", worker.name)
            if worker.status in (3, 4):
                raise HaltServer

    def manage_workers(self) -> Steps:
        """Fork what is missing, and SIGTERM the oldest of what is too much."""
        if len(self.WORKERS) < self.num_workers:
            yield from self.spawn_workers()
        too_many = len(self.WORKERS) - self.num_workers
        if too_many > 0:
            for _, worker in sorted(self.WORKERS.items())[:too_many]:
                worker.kill("TERM")

    def spawn_worker(self) -> Steps:
        """Fork a worker, whose life is its own from then on."""
        self.worker_age += 1
        age = self.worker_age
        yield self._compute(self.costs.fork)
        listener = self.LISTENERS[0] if self.LISTENERS else self.wiring.listen()
        worker = self.new_worker(self.wiring, self, listener)
        self.WORKERS[age] = worker
        self.clock.process(worker.boot())

    def spawn_workers(self) -> Steps:
        """Fork as many as are missing now."""
        for _ in range(self.num_workers - len(self.WORKERS)):
            yield from self.spawn_worker()
            yield self.clock.timeout(LONGEST_GAP * self.random.random())

    def kill_workers(self, signal: str) -> None:
        """The same signal to all workers."""
        for worker in self.WORKERS.values():
            worker.kill(signal)
