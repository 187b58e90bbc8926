"""Costs of the steps of a request and of a process on one machine."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from sim.errors import ExperimentError
from sim.experiment.default_costs import DEFAULTS

_DEFAULTS = DEFAULTS["costs"]

#: Factors of other costs, not times or probabilities: at 1, nothing is saved.
PARTS: Final = ("warm", "cached", "cached_elsewhere")


@dataclass(frozen=True, slots=True)
class Costs:
    """Times of the steps around the application's own code, in s.

    The defaults are those of ``default_costs.toml``, which says on which machine and when they were
    measured; a file that ``--costs`` reads replaces any of them. The same machine and its siblings
    had 0.9 to 2.4 ms from a request's arrival to its start, hours apart.

    Attributes:
        connect: from the scheduled arrival until a sleeping poller that was woken for the new
            connection runs: the client's timer, TCP's handshake on loopback, the wake-up.
        send: the same for a request on a connection that is already open.
        accept: CPU of the worker's main thread for one `accept(2)` and the hand-over to the pool;
            to its own poller on 21.1 to 23.0.
        follow: from a connection's accept until its request has woken the poller, of a client that
            sends at once; 21.1 to 23.0 wait for that.
        dispatch: CPU of the main thread for a readable connection and the hand-over to the pool, on
            20.1 to 23.0; on later releases that costs `finish`.
        request: CPU of a pool thread from taking a connection until the application's code runs:
            reading, parsing, Flask's dispatch.
        first_request: how much longer `request` takes, with `preload_app`, for the first of a
            worker: it touches pages that it has shared with the master since the fork, and the
            kernel copies them.
        timer_slack: how much longer a sleep takes than requested; the application's I/O is a sleep.
        respond: CPU of a pool thread from the end of the application's code until it takes the
            next connection.
        receive: from the end of that until the client has read the whole response.
        finish: CPU for `finish_request`: closing, or back to the poller. It is the main thread's;
            the pool thread's on 20.1 to 23.0.
        sync_finish: CPU of a sync worker from the last byte sent until it can accept again.
        linger: how much longer the client takes to close, if a core idles: `close_graceful` waits
            for that, off its core and without the GIL.
        proxy_request: from a request's arrival at nginx until a sleeping poller of Gunicorn's that
            was woken for it runs.
        proxy_response: from the response's arrival at nginx until nginx has sent it on.
        to_thread: CPU of handing a plain function of an ASGI application to a thread, and its
            result back to the event loop.
        first_to_thread: how much longer that takes for the first of a worker: anyio imports its
            backend only then (`get_async_backend`), so no master has it to share.
        warm: what `connect`, `send`, `follow`, `receive` and `linger` cost right after another
            request's, as a part of what they cost cold, which is what they say; see
            `sim.model.caches.pace`.
        cooling: s without a request after which half of that difference is lost.
        cached: what `accept`, `dispatch`, `request`, `respond`, `finish`, `sync_finish` and
            `to_thread` cost right after the same step of another request in the same worker, as a
            part of what they cost cold, which is what they say; see `sim.model.caches.cached_pace`.
        cached_elsewhere: the same right after that step in another worker.
        eviction: s after which the caches have lost 63 % of that.
        handover: how much longer a thread that has waited for the GIL takes to compute: it must
            wake up first, and no thread of the process computes meanwhile.
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
        wake_first: probability that the poller which is woken first for a connection is owed time,
            if it has lost the one before; for this and the next five see
            `sim.model.linux.accept_race`.
        wake_owed: the same of each poller that stays on the core where it ran last.
        wake_affine: probability that the client's core draws the first to itself.
        wake_late: probability that no other core runs a poller before the client sleeps.
        proxy_late: the same where nginx connects, which sleeps sooner.
        wake_overtake: probability that such a one, owed time, comes before all that were woken
            before it.
        wake_warm: probability that a poller which preempts the client accepts before another core
            does, just after both have run.
        wake_idle: probability that a thread which wakes up where its own core is busy and another
            idles goes to the idle one; see `sim.model.linux.scheduler`.
        pull: mean of the s after which an idle core takes a thread that waits for another.
    """

    connect: float = _DEFAULTS["connect"]
    send: float = _DEFAULTS["send"]
    accept: float = _DEFAULTS["accept"]
    follow: float = _DEFAULTS["follow"]
    dispatch: float = _DEFAULTS["dispatch"]
    request: float = _DEFAULTS["request"]
    first_request: float = _DEFAULTS["first_request"]
    timer_slack: float = _DEFAULTS["timer_slack"]
    respond: float = _DEFAULTS["respond"]
    receive: float = _DEFAULTS["receive"]
    finish: float = _DEFAULTS["finish"]
    sync_finish: float = _DEFAULTS["sync_finish"]
    linger: float = _DEFAULTS["linger"]
    proxy_request: float = _DEFAULTS["proxy_request"]
    proxy_response: float = _DEFAULTS["proxy_response"]
    to_thread: float = _DEFAULTS["to_thread"]
    first_to_thread: float = _DEFAULTS["first_to_thread"]
    warm: float = _DEFAULTS["warm"]
    cooling: float = _DEFAULTS["cooling"]
    cached: float = _DEFAULTS["cached"]
    cached_elsewhere: float = _DEFAULTS["cached_elsewhere"]
    eviction: float = _DEFAULTS["eviction"]
    handover: float = _DEFAULTS["handover"]
    import_app: float = _DEFAULTS["import_app"]
    fork: float = _DEFAULTS["fork"]
    boot: float = _DEFAULTS["boot"]
    postfork: float = _DEFAULTS["postfork"]
    exit: float = _DEFAULTS["exit"]
    finalize: float = _DEFAULTS["finalize"]
    kill: float = _DEFAULTS["kill"]
    reload: float = _DEFAULTS["reload"]
    reexec: float = _DEFAULTS["reexec"]
    wake_first: float = _DEFAULTS["wake_first"]
    wake_owed: float = _DEFAULTS["wake_owed"]
    wake_affine: float = _DEFAULTS["wake_affine"]
    wake_late: float = _DEFAULTS["wake_late"]
    proxy_late: float = _DEFAULTS["proxy_late"]
    wake_overtake: float = _DEFAULTS["wake_overtake"]
    wake_warm: float = _DEFAULTS["wake_warm"]
    wake_idle: float = _DEFAULTS["wake_idle"]
    pull: float = _DEFAULTS["pull"]

    def __post_init__(self) -> None:
        for cost in fields(self):
            value = getattr(self, cost.name)
            if not math.isfinite(value) or value < 0:
                raise ExperimentError(
                    f"costs {cost.name} is {value}; expected a finite number >= 0"
                )
