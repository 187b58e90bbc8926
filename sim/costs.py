"""What each step of a request costs on one machine."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from sim.errors import ExperimentError


@dataclass(frozen=True, slots=True)
class Costs:
    """Times of the steps around the application's own code, in s.

    The defaults were measured on 2026-11-23 on a virtual machine with two cores (AMD EPYC, Linux
    6.18, CPython 3.11, Gunicorn 27.0.1, Flask 3.1), client and server on the same cores. Sums that
    a run shows (arrival to start, end of the application to answer) come from ``python -m
    reference_app measure --threads 8 --rate 50 --io const:0.005`` with 1 to 8 workers, sync and
    gthread, and are split along the scheduler's trace. The same machine and its siblings had 0.9
    to 2.4 ms from arrival to start, hours apart; these are the middle. The ``wake_*`` were fitted
    to the workers' shares in such runs at 20 to 150 requests/s. A file that ``--costs`` reads
    replaces any of them.

    Attributes:
        connect: from the scheduled arrival until a sleeping poller that was woken for the new
            connection runs: the client's timer, TCP's handshake on loopback, the wake-up.
        send: the same for a request on a connection that is already open.
        accept: CPU of the worker's main thread for one `accept(2)` and the hand-over to the pool.
        request: CPU of a pool thread from taking a connection until the application's code runs:
            reading, parsing, Flask's dispatch.
        timer_slack: how much longer than asked a sleep takes; the application's I/O is a sleep.
        respond: CPU of a pool thread from the end of the application's code until it takes the
            next connection.
        receive: from the end of that until the client has read the whole response.
        finish: CPU of the main thread for `finish_request`: closing, or back to the poller.
        sync_finish: CPU of a sync worker from the last byte sent until it can accept again.
        warm: what the steps above cost right after another request's, as a part of what they cost
            cold, which is what they say; see `sim.model.pace`.
        cooling: s without a request after which half of that difference is lost.
        import_app: CPU of importing the application, once in the master or once in each worker.
        fork: the master's time for one `fork(2)`.
        boot: CPU from the fork until the worker can accept, without hooks and without the import.
        postfork: CPU of ``postfork()``, beside the flag service's latency.
        exit: CPU from a worker's last line until Python joins its pool threads.
        finalize: CPU from there until the process is gone, at least.
        kill: from SIGKILL until the process is gone.
        reload: from SIGHUP until the first fork: reading the configuration again.
        reexec: from SIGUSR2 until the second master imports the application or listens: Python's
            start, Gunicorn's import and the configuration.
        wake_alone: probability that the client's core wins a new connection when only the poller
            that was sent there is queued on it; for this and the next three see `sim.model.wakeup`.
        wake_queued: the same when a poller that stays there is queued on it too.
        wake_halt: s after which an idle core has halted.
        wake_overtake: probability that a poller that stays overtakes the head of its core's queue.
    """

    connect: float = 860e-6
    send: float = 60e-6
    accept: float = 180e-6
    request: float = 660e-6
    timer_slack: float = 170e-6
    respond: float = 500e-6
    receive: float = 260e-6
    finish: float = 130e-6
    sync_finish: float = 140e-6
    warm: float = 0.28
    cooling: float = 8e-3
    import_app: float = 0.22
    fork: float = 0.005
    boot: float = 0.0035
    postfork: float = 0.0125
    exit: float = 0.0003
    finalize: float = 0.072
    kill: float = 0.0045
    reload: float = 0.008
    reexec: float = 0.15
    wake_alone: float = 0.57
    wake_queued: float = 0.95
    wake_halt: float = 2.2e-3
    wake_overtake: float = 0.46

    def __post_init__(self) -> None:
        for cost in fields(self):
            value = getattr(self, cost.name)
            if not math.isfinite(value) or value < 0:
                raise ExperimentError(
                    f"costs {cost.name} is {value}; expected a finite number >= 0"
                )
