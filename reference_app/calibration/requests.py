"""The costs of the steps of a request on this machine.

One worker gets requests, with a clock at each step (`marked_config`)::

    arrival --connect--> accept --accept--> handle --request--> application's own code
                                                                     (I/O: timer slack)
    client has all <--receive-- handle ends <--respond-- application's own code ends

Releases 21 to 23 poll between `accept` and `handle`::

    accept --accept--> poll --follow--> dispatch --dispatch--> handle

An event loop has one thread, and may poll between two steps. Its steps are what that thread's CPU
clock says, and `connect` is all else until the application's code runs. `to_thread` is what a plain
function of an ASGI application takes longer than a coroutine: from the request's first bytes until
it runs, and from its end until the response is sent. It also waits for two threads to wake up.

CPU is measured apart from waiting and waking up: after a gap, the caches lose the one in another
way than the other cools, see `caches`.

Requests arrive at random. At even gaps every request finds the threads on the cores where the one
before has left them: 11 ms apart, 45 of them began after 1.05 to 1.60 ms in the median, from one
run to the next. Only requests that had the worker for themselves count. The last traffic is one
client without a pause, for the cost of a step right after another.
"""

from __future__ import annotations

import json
import math
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from itertools import pairwise, product
from random import Random
from statistics import fmean, median
from typing import Any

from reference_app.calibration import caches
from reference_app.calibration.caches import own_part
from reference_app.calibration.marked_config import MARKS, WRITE
from reference_app.rig.address import HOST
from reference_app.rig.client_process import Replay, replay
from reference_app.rig.server import Application, RunningServer, our_service, running_server
from sim.errors import ExperimentError
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.release import NEWEST, Release, release
from sim.experiment.worker_class import TRAITS, WorkerClass

MARKED = "reference_app.calibration.marked_config"

#: Requests of one measurement; the first of them warm caches up.
REQUESTS = 60
WARM_UP = 10

#: Requests to an application of somebody else's, one after the other.
THEIR_REQUESTS = 60

#: Requests / s: gaps of 2 to 150 ms, over which most of what cools cools.
RATE = 30.0

#: s that each of them sleeps.
IO = 0.005

#: s that a worker may take to write its notes, and that an application may take to answer.
PATIENCE = 30.0

#: Time (s) after which a worker is done with a request that its client has.
CALM = 0.2

#: What is tried for `Costs.warm` and for `Costs.cooling`, s.
_WARM = tuple(number / 50 for number in range(1, 51))
_COOLING = tuple(0.001 * 1.1**number for number in range(45))

NONE = Distribution("const", (0.0,))

#: One thread, so that its notes are in the order of the requests.
_ONE_WORKER = Server(workers=1, threads=1, worker_class="gthread", preload_app=True)
_ONE_SYNC_WORKER = Server(workers=1, worker_class="sync", preload_app=True)


@dataclass(frozen=True, slots=True)
class Steps:
    """The notes of a worker: wall clock and thread's CPU clock of each step of each request, s.

    Attributes:
        dispatch: of each connection that its poller found readable; 24.0 and later have none of a
            new connection.
    """

    accept: Sequence[tuple[float, float]]
    accepted: Sequence[tuple[float, float]]
    handle: Sequence[tuple[float, float]]
    handled: Sequence[tuple[float, float]]
    app: Sequence[tuple[float, float]]
    answered: Sequence[tuple[float, float]]
    finish: Sequence[tuple[float, float]]
    finished: Sequence[tuple[float, float]]
    dispatch: Sequence[tuple[float, float]] = ()

    def idle(self) -> list[float]:
        """Since the request before, of each but the first, s."""
        return _gaps(_walls(self.accept))

    def finishing(self) -> list[float]:
        """CPU of the main thread for each request but the last, besides its accept, s.

        That is finishing it and its polls: from the end of its accept to the beginning of the next.
        """
        return _apart(_clocks(self.accepted[:-1]), _clocks(self.accept[1:]))

    def accepting_in_loop(self) -> list[float]:
        """CPU of an event loop from each accept until it has the request's first bytes, s."""
        return _apart(_clocks(self.accept), _clocks(self.handle))

    def parsing_in_loop(self, began: Sequence[float]) -> list[float]:
        """CPU of an event loop from there until the application's code runs, s.

        Args:
            began: when that ran, CLOCK_MONOTONIC s.
        """
        to_application = _apart(_clocks(self.handle), _clocks(self.app))
        # The framework's part: it computes, and waits for nothing.
        framework = _apart(_walls(self.app), began)
        return [sum(parts) for parts in zip(to_application, framework, strict=True)]

    def finishing_in_loop(self) -> list[float]:
        """CPU of an event loop from the end of each request but the last to the next accept, s."""
        return _apart(_clocks(self.handled[:-1]), _clocks(self.accept[1:]))

    def linger(self) -> list[float]:
        """How long the main thread waits, off its core, as it finishes each request, s."""
        waits = [
            (after - before) - (cpu_after - cpu_before)
            for (before, cpu_before), (after, cpu_after) in zip(
                self.finish, self.finished, strict=True
            )
        ]
        begins, last = _walls(self.finish), len(waits) - 1
        # One that is handled while the main thread finishes another is finished with that.
        return [waits[min(bisect_left(begins, end), last)] for end in _walls(self.handled)]

    def release(self) -> list[float]:
        """CPU of the pool thread for each but the last, from its answer until the next, s."""
        return _apart(_clocks(self.handled[:-1]), _clocks(self.handle[1:]))

    def finishing_in_pool(self) -> list[float]:
        """CPU of a pool thread that finishes its own request, for each but the last, s."""
        return _apart(_clocks(self.finish[:-1]), _clocks(self.finished[:-1]))

    def release_in_pool(self) -> list[float]:
        """`release` of a pool thread that finishes its own request, without finishing it, s."""
        return _apart(self.finishing_in_pool(), self.release())

    def dispatching(self) -> list[float]:
        """From each readable connection until a pool thread handles it, s."""
        handle = _walls(self.handle)
        begins = (begin for begin in _walls(self.dispatch) if begin < handle[-1])
        return [handle[bisect_left(handle, begin)] - begin for begin in begins]


def cache_costs(gunicorn: str = NEWEST) -> dict[str, float]:
    """Measure, with our service, what of a request's CPU the caches save: fields of `Costs`.

    Args:
        gunicorn: the release to run.

    Raises:
        ExperimentError: when the server does not boot or the notes do not come.
    """
    server = replace(caches.SERVER, gunicorn=gunicorn)
    experiment = Experiment(server=server, traffic=caches.traffic())
    with running_server(experiment, replace(our_service(server), config=MARKED)) as running:
        _replay(experiment, running)
        return caches.fit(sorted(notes["handled"]) for notes in _notes(running))


def request_costs(
    gunicorn: str = NEWEST, worker_class: WorkerClass = "gthread"
) -> dict[str, float]:
    """Measure, with our service, the fields of `Costs` that are about requests, in s.

    Args:
        gunicorn: the release to run.
        worker_class: that serves them. ``gthread`` measures what ``sync`` needs too.

    Raises:
        ExperimentError: when the server does not boot or the notes do not come.
    """
    known = release(gunicorn)
    loop = TRAITS[worker_class].event_loop
    worker = replace(_ONE_WORKER, gunicorn=gunicorn, worker_class=worker_class)
    caching = cache_costs(gunicorn)
    # A worker's notes are about all its traffic, so the first has a server of its own.
    (new,), steps = _replayed(worker, _AT_RANDOM)
    (reused, quicker, at_once), reused_steps = _replayed(
        worker, replace(_AT_RANDOM, connection="keepalive"), _QUICKER, _AT_ONCE
    )
    began, ended = _noted(new, "started"), _noted(new, "ended")
    arrival = [new.start + due for due in new.requests.arrival]
    finished = [new.start + time for time in new.requests.finished]
    accept, handle, handled = (
        _walls(notes) for notes in (steps.accept, steps.handle, steps.handled)
    )
    alone = _alone(new)

    def computed(
        taken: Sequence[float], moments: Sequence[float], numbers: Sequence[int] = alone
    ) -> float:
        """Cold cost of a step that computes, which took so long for each request, s."""
        return _cold(taken, _gaps(moments), numbers, lambda idle: own_part(idle, caching))

    request = computed(steps.parsing_in_loop(began) if loop else _apart(handle, began), arrival)
    sending = _apart(ended, handled)

    def ending(taken: Sequence[float]) -> float:
        return computed(taken, ended)

    costs = _loops_steps(steps, ending) if loop else _gunicorns_steps(known, steps, ending)
    releasing = costs.pop("release")
    respond = computed(sending, ended) + releasing
    accepting = computed(steps.accepting_in_loop() if loop else _apart(accept, handle), arrival)
    dispatch = 0.0
    polled, in_pool = (
        known.new_connection == "poller" and not loop,
        known.finished_by == "pool thread" and not loop,
    )
    if polled:
        dispatched = _walls(steps.dispatch)
        accepting = computed(_apart(_clocks(steps.accept), _clocks(steps.dispatch)), arrival)
        dispatch = computed(_apart(dispatched, handle), arrival)
    elif in_pool:
        moments = _walls(reused_steps.dispatch)[:REQUESTS]
        numbers = range(WARM_UP, len(moments))
        dispatch = computed(reused_steps.dispatching(), moments, numbers)

    def woken(result: Replay, computes: float) -> list[float]:
        """From each arrival until the application's code runs, s, but for what is computed."""
        gaps = (math.inf, *_gaps(result.requests.arrival))
        return [
            taken - computes * own_part(gap, caching)
            for taken, gap in zip(_to_start(result), gaps, strict=True)
        ]

    of_new = accepting + request + (dispatch if polled else 0.0)
    warm, cooling = _pace(
        [(result, woken(result, of_new)) for result in (new, quicker)],
        (at_once, woken(at_once, of_new)),
    )

    def cold(
        taken: Sequence[float], moments: Sequence[float], numbers: Sequence[int] = alone
    ) -> float:
        """Cold cost of anything else, s."""
        return _cold(taken, _gaps(moments), numbers, lambda idle: part(idle, warm, cooling))

    receiving = _apart(sending, _apart(ended, finished))
    connect = cold(woken(new, of_new) if loop else _apart(arrival, accept), arrival)
    first = fmean(_to_start(result)[0] for result in (new, reused))
    # Whoever waits for it in an event loop goes on: nothing is handed over.
    of_reused = request + (0.0 if loop else dispatch or costs["finish"])
    if not loop:
        # Off its core: two clocks, which may differ by less than they can tell.
        costs["linger"] = max(0.0, cold(steps.linger(), ended))
    if in_pool:
        costs["dispatch"] = dispatch
        of_sync = _sync_cycle(gunicorn, caching) - accepting - request - respond
        costs["sync_finish"] = max(0.0, of_sync)
    if polled:
        costs["follow"] = cold(_apart(accept, _walls(steps.dispatch)), arrival)
    return (
        caching
        | costs
        | _to_thread(worker, computed, request + respond, first)
        | {
            "connect": connect,
            "send": max(
                0.0, cold(woken(reused, of_reused), reused.requests.arrival, _alone(reused))
            ),
            "accept": accepting,
            "request": request,
            "first_request": max(0.0, first - connect - of_new),
            "respond": respond,
            "receive": max(0.0, cold(receiving, ended) - releasing),
            "timer_slack": median([*_slack(new), *_slack(reused)]),
            "warm": warm,
            "cooling": cooling,
        }
    )


#: The cold cost of a step: of what it took for each request, its moments, and which requests count.
_Computed = Callable[[Sequence[float], Sequence[float], Sequence[int]], float]


def _to_thread(
    worker: Server, computed: _Computed, of_coroutine: float, first: float
) -> dict[str, float]:
    """What a plain function of an ASGI application takes longer than a coroutine: of `Costs`.

    That is from the first bytes until it runs in its thread, and from its end until the response is
    sent, both of which ``of_coroutine`` s are of a coroutine. ``first`` is what a worker's first
    coroutine takes from its arrival until it runs.
    """
    if not worker.traits.asgi:
        return {}
    (plain,), steps = _replayed(worker, replace(_AT_RANDOM, endpoint="def"))
    runs, returns, numbers = _noted(plain, "started"), _noted(plain, "ended"), _alone(plain)
    sent = [plain.start + due for due in plain.requests.arrival]
    way = computed(steps.parsing_in_loop(runs), sent, numbers)
    back = computed(_apart(returns, _walls(steps.handled)), returns, numbers)
    to_thread = max(0.0, way + back - of_coroutine)
    longer = _to_start(plain)[0] - first - to_thread / 2
    return {"to_thread": to_thread, "first_to_thread": max(0.0, longer)}


def _gunicorns_steps(
    known: Release, steps: Steps, computed: Callable[[Sequence[float]], float]
) -> dict[str, float]:
    """What comes after a response: fields of `Costs`, and ``release`` of the pool thread, s."""
    if known.finished_by == "pool thread":
        return {
            "finish": computed(steps.finishing_in_pool()),
            "release": computed(steps.release_in_pool()),
        }
    finish = computed(steps.finishing())
    # Closing waits for the client in both worker classes, and costs the same.
    return {"finish": finish, "sync_finish": finish, "release": computed(steps.release())}


def _loops_steps(steps: Steps, computed: Callable[[Sequence[float]], float]) -> dict[str, float]:
    """The same of an event loop, whose one thread has the next request when it is done."""
    return {"finish": computed(steps.finishing_in_loop()), "release": 0.0}


def _sync_cycle(gunicorn: str, caching: Mapping[str, float]) -> float:
    """CPU of a ``sync`` worker from one call of the application to the next, cold, s."""
    (_,), steps = _replayed(replace(_ONE_SYNC_WORKER, gunicorn=gunicorn), _AT_RANDOM)
    clocks, walls = _clocks(steps.app), _walls(steps.app)
    numbers = range(WARM_UP, len(clocks) - 1)
    return _cold(_gaps(clocks), _gaps(walls), numbers, lambda idle: own_part(idle, caching))


def part(idle: float, warm: float, cooling: float) -> float:
    """What waking up takes after ``idle`` s, as a part of what it takes cold; see `Costs.warm`."""
    return warm + (1 - warm) * idle / (idle + cooling)


#: Requests, and what waking up for each took, s.
_Woken = tuple[Replay, Sequence[float]]


def _pace(at_random: Iterable[_Woken], at_once: _Woken) -> tuple[float, float]:
    """``warm`` and ``cooling`` (s): from what waking up takes after so long a gap."""
    seen = []
    for result, taken in at_random:
        gaps = _gaps(result.requests.arrival)
        seen += [(gaps[number - 1], taken[number]) for number in _alone(result)]
    # As much as all others together: nothing else says what it takes right after another.
    quickest = median(_gaps(at_once[0].requests.arrival)), median(at_once[1][WARM_UP:])
    seen += [quickest] * len(seen)

    def distance(values: tuple[float, float]) -> float:
        parts = [part(gap, *values) for gap, _ in seen]
        cold = median(seconds / of_it for (_, seconds), of_it in zip(seen, parts, strict=True))
        return sum(
            abs(seconds - cold * of_it) for (_, seconds), of_it in zip(seen, parts, strict=True)
        )

    return min(product(_WARM, _COOLING), key=distance)


def _cold(
    taken: Sequence[float],
    gaps: Sequence[float],
    numbers: Iterable[int],
    part_after: Callable[[float], float],
) -> float:
    """What a step costs cold, that took so many s for those requests, such gaps after another."""
    return median(taken[number] / part_after(gaps[number - 1]) for number in numbers)


def _alone(result: Replay) -> list[int]:
    """The numbers of the requests beside which no other was under way."""
    arrival, finished = result.requests.arrival, result.requests.finished
    return [
        number
        for number in range(WARM_UP, len(arrival) - 1)
        if finished[number - 1] < arrival[number] and finished[number] < arrival[number + 1]
    ]


def _to_start(result: Replay) -> list[float]:
    """From each request's arrival until the application's code runs, s."""
    arrival = [result.start + due for due in result.requests.arrival]
    return _apart(arrival, _noted(result, "started"))


def _slack(result: Replay) -> list[float]:
    """How much longer than asked for each request but the first ones slept, s."""
    slept = _apart(_noted(result, "started"), _noted(result, "ended"))
    return _apart(result.requests.io, slept)[WARM_UP:]


def _noted(result: Replay, name: str) -> list[float]:
    """What each answer says of its request, s of the monotonic clock."""
    return [json.loads(body)[name] for body in result.answers]


def _apart(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """The time between two steps of each request."""
    return [b - a for a, b in zip(before, after, strict=True)]


def _gaps(moments: Sequence[float]) -> list[float]:
    """From each to the next."""
    return [after - before for before, after in pairwise(moments)]


_AT_RANDOM = Traffic(rate=RATE, requests=REQUESTS, io=Distribution("const", (IO,)))

#: Gaps of 2 to 20 ms, too short for requests that sleep to be alone.
_QUICKER = Traffic(rate=120.0, requests=200, io=NONE)

#: One user without a pause.
_AT_ONCE = Traffic(arrivals="closed", users=1, think=NONE, requests=150, duration=PATIENCE, io=NONE)


def _replayed(worker: Server, *traffics: Traffic) -> tuple[list[Replay], Steps]:
    """Send one traffic after the other to one worker; its notes are about all of them."""
    application = replace(our_service(worker), config=MARKED)
    with running_server(Experiment(server=worker), application) as server:
        results = [
            _replay(Experiment(server=worker, traffic=traffic), server) for traffic in traffics
        ]
        return results, _steps(server, loop=worker.traits.event_loop)


def _replay(experiment: Experiment, server: RunningServer) -> Replay:
    return replay(experiment, 0, ((HOST, server.port),), lambda _: None, lambda *_: None)


@dataclass(frozen=True, slots=True)
class Demand:
    """What an application's own code does with a request, s.

    Attributes:
        cpu: that it computes.
        io: that it waits.
    """

    cpu: float
    io: float


def application_costs(
    application: Application,
    path: str,
    caching: Mapping[str, float],
    gunicorn: str = NEWEST,
    worker_class: WorkerClass = "gthread",
) -> tuple[dict[str, float], Demand]:
    """Measure Gunicorn's part of the costs of an application of somebody else's, and its demand.

    Args:
        application: whose module and callable to serve.
        path: to ask for.
        caching: what the caches of this machine save, as `cache_costs` has measured it.
        gunicorn: the release to run.
        worker_class: that serves it.

    Raises:
        ExperimentError: when it does not boot or answer.
    """
    random = Random(1)
    server = replace(_ONE_WORKER, gunicorn=gunicorn, worker_class=worker_class)
    experiment = Experiment(server=server)
    with running_server(experiment, replace(application, config=MARKED)) as running:
        for _ in range(THEIR_REQUESTS):
            _get(running.port, path)
            time.sleep(random.expovariate(RATE))
        steps = _steps(running, loop=server.traits.event_loop)
    loop = server.traits.event_loop
    return gunicorns_costs(steps, caching, release(gunicorn), loop=loop), _demand(steps)


def gunicorns_costs(
    steps: Steps,
    caching: Mapping[str, float],
    known: Release | None = None,
    *,
    loop: bool = False,
) -> dict[str, float]:
    """The cold costs of Gunicorn's steps, s, from requests that came before all had cooled.

    Args:
        steps: of a worker.
        caching: see `application_costs`.
        known: the release; the newest, if None.
        loop: whether the worker has an event loop.
    """
    known = known or release(NEWEST)
    gaps = steps.idle()

    def cold(taken: Sequence[float]) -> float:
        return _cold(taken, gaps, range(WARM_UP, len(gaps)), lambda idle: own_part(idle, caching))

    to_application = (
        steps.parsing_in_loop(_walls(steps.app))
        if loop
        else _apart(_walls(steps.handle), _walls(steps.app))
    )
    request = cold(to_application)
    costs = _loops_steps(steps, cold) if loop else _gunicorns_steps(known, steps, cold)
    accept = cold(
        steps.accepting_in_loop() if loop else _apart(_walls(steps.accept), _walls(steps.handle))
    )
    if known.new_connection == "poller" and not loop:
        accept = cold(_apart(_clocks(steps.accept), _clocks(steps.dispatch)))
        costs["dispatch"] = cold(_apart(_walls(steps.dispatch), _walls(steps.handle)))
    respond = cold(_apart(_walls(steps.answered), _walls(steps.handled))) + costs.pop("release")
    return costs | {
        "accept": accept,
        "request": request,
        "first_request": max(0.0, to_application[0] - request),
        "respond": respond,
    }


def _demand(steps: Steps) -> Demand:
    cpu = median(_apart(_clocks(steps.app), _clocks(steps.answered))[WARM_UP:])
    wall = median(_apart(_walls(steps.app), _walls(steps.answered))[WARM_UP:])
    return Demand(cpu, max(0.0, wall - cpu))


def _clocks(notes: Sequence[tuple[float, float]]) -> list[float]:
    return [cpu for _, cpu in notes]


def _walls(notes: Sequence[tuple[float, float]]) -> list[float]:
    return [moment for moment, _ in notes]


def _get(port: int, path: str) -> None:
    connection = HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        connection.getresponse().read()
    except (OSError, HTTPException) as error:
        raise ExperimentError(f"GET {path} got no answer ({error!r}); expected one") from None
    finally:
        connection.close()


def _steps(server: RunningServer, *, loop: bool) -> Steps:
    """Let the worker write its notes, and read them; ``loop``: it has an event loop.

    Raises:
        ExperimentError: when they do not come, or nothing could be timed.
    """
    (marks,) = _notes(server)
    # A sync worker is timed by its application alone.
    if loop and not marks["accept_begins"]:
        raise ExperimentError(
            "the worker's loop shows no accept; expected gevent's, or asyncio's own: uninstall "
            "uvloop to calibrate"
        )
    return Steps(
        marks["accept_begins"],
        marks["accept_ends"],
        marks["handle_begins"],
        marks["handle_ends"],
        marks["app_begins"],
        marks["app_ends"],
        marks["finish_begins"],
        marks["finish_ends"],
        marks["dispatch_begins"],
    )


def _notes(server: RunningServer) -> list[dict[str, Any]]:
    """Let the workers write their notes, and read those of each."""
    processes = server.living_workers().values()
    # The client has the last response; the worker may not be done with it.
    time.sleep(CALM)
    for process in processes:
        os.kill(process.pid, WRITE)
    deadline = time.monotonic() + PATIENCE
    while True:
        lines = (line for line in server.text().split("\n")[:-1] if line.startswith(MARKS))
        notes = [json.loads(line.removeprefix(MARKS)) for line in lines]
        if len(notes) == len(processes):
            return notes
        if time.monotonic() > deadline:
            raise ExperimentError(
                f"{len(notes)} of {len(processes)} workers wrote notes about their requests; "
                "expected all"
            )
        time.sleep(0.02)
