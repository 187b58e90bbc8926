"""What the steps of a request cost on this machine.

One worker gets requests one after the other, with a clock at each step (`marked_config`)::

    arrival --connect--> accept --accept--> handle --request--> application's own code
                                                                     (I/O: timer slack)
    client has all <--receive-- handle is over <--respond-- application's own code ends

Once so rarely that all is cold, once as quickly as they can, and once in between.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from itertools import pairwise, product
from statistics import median

from reference_app.calibration.marked_config import MARKS
from reference_app.client_process import Replay, replay
from reference_app.server import HOST, SERVICE, Application, RunningServer, running_server
from sim.distribution import Distribution
from sim.errors import ExperimentError
from sim.experiment import Experiment, Server, Traffic

MARKED = "reference_app.calibration.marked_config"

#: Requests of one measurement.
REQUESTS = 45

#: s from one request to the next, where all is cold, and where half is. Not multiples of the
#: kernel's tick, 4 ms, or all would come at the same moment of it.
COLD = 0.0813
TEPID = 0.0107

#: s that each of them sleeps.
IO = 0.005

#: s that a worker may take to write its notes, and that an application may take to answer.
PATIENCE = 30.0

#: What is tried for `Costs.warm` and for `Costs.cooling`, s.
_WARM = tuple(number / 50 for number in range(1, 51))
_COOLING = tuple(0.001 * 1.1**number for number in range(45))

NONE = Distribution("const", (0.0,))

_ONE_WORKER = Server(workers=1, threads=4, worker_class="gthread", preload_app=True)


@dataclass(frozen=True, slots=True)
class Steps:
    """The notes of a worker: wall clock and thread's CPU clock of each step of each request, s."""

    accept: Sequence[tuple[float, float]]
    accepted: Sequence[tuple[float, float]]
    handle: Sequence[tuple[float, float]]
    handled: Sequence[tuple[float, float]]
    app: Sequence[tuple[float, float]]
    answered: Sequence[tuple[float, float]]

    def gap(self) -> float:
        """From one request to the next, s."""
        return median(after - before for (before, _), (after, _) in pairwise(self.accept))

    def finish(self) -> float:
        """CPU of the main thread for a request, besides its accept: finishing, and its polls, s."""
        # From the end of an accept to the beginning of the next.
        return median(
            after[1] - accepted[1]
            for accepted, after in zip(self.accepted, self.accept[1:], strict=False)
        )


def request_costs() -> dict[str, float]:
    """Measure, with our service, the fields of `Costs` that are about requests, in s.

    Raises:
        ExperimentError: when the server does not boot or the notes do not come.
    """
    # A worker's notes are about all its traffic, so the first has a server of its own.
    (new,), steps = _replayed(_apart_by(COLD))
    (kept, quick, tepid), _ = _replayed(
        replace(_apart_by(COLD), connection="keepalive"), _AT_ONCE, _apart_by(TEPID)
    )
    warm, cooling = _pace(new, quick, tepid)
    cold = part(COLD, warm, cooling)
    rows, answers = new.requests, [json.loads(body) for body in new.answers]
    began = [answer["started"] for answer in answers]
    ended = [answer["ended"] for answer in answers]
    arrival = [new.start + due for due in rows.arrival]
    finished = [new.start + time for time in rows.finished]
    accept, handle, handled = (
        _walls(notes) for notes in (steps.accept, steps.handle, steps.handled)
    )
    finish = steps.finish()
    request, respond = _apart(handle, began), _apart(ended, handled)
    steps_of_a_request = {
        "connect": _apart(arrival, accept),
        "send": max(0.0, _to_start(kept) - finish - request),
        "accept": _apart(accept, handle),
        "request": request,
        "respond": respond,
        "receive": max(0.0, _apart(ended, finished) - respond),
        "finish": finish,
        "sync_finish": finish,
    }
    return {
        **{name: seconds / cold for name, seconds in steps_of_a_request.items()},
        "timer_slack": _apart(began, ended) - IO,
        "warm": warm,
        "cooling": cooling,
    }


def part(idle: float, warm: float, cooling: float) -> float:
    """What a step costs after ``idle`` s, as a part of what it costs cold: `Costs.warm` says so."""
    return warm + (1 - warm) * idle / (idle + cooling)


def _pace(cold_ones: Replay, quick: Replay, tepid: Replay) -> tuple[float, float]:
    """``warm`` and ``cooling`` (s): from what the start of a request takes at three paces."""
    cold, arrivals = _to_start(cold_ones), quick.requests.arrival
    seen = {
        median(b - a for a, b in pairwise(arrivals)): _to_start(quick) / cold,
        TEPID: _to_start(tepid) / cold,
    }

    def distance(values: tuple[float, float]) -> float:
        return sum(
            (part(g, *values) / part(COLD, *values) - of_cold) ** 2 for g, of_cold in seen.items()
        )

    return min(product(_WARM, _COOLING), key=distance)


def _to_start(result: Replay) -> float:
    """From a request's arrival until the application's code runs, s."""
    began = [json.loads(body)["started"] - result.start for body in result.answers]
    return _apart(result.requests.arrival, began)


def _apart(before: Sequence[float], after: Sequence[float]) -> float:
    """The median time between two steps, without the first ten requests, which warm caches."""
    return median(b - a for a, b in zip(before[10:], after[10:], strict=True))


def _apart_by(gap: float) -> Traffic:
    return Traffic(
        arrivals="constant", rate=1 / gap, requests=REQUESTS, io=Distribution("const", (IO,))
    )


#: One user without a pause.
_AT_ONCE = Traffic(
    arrivals="closed", users=1, think=NONE, requests=5 * REQUESTS, duration=PATIENCE, io=NONE
)


def _replayed(*traffics: Traffic) -> tuple[list[Replay], Steps]:
    """Send one traffic after the other to one worker; its notes are about all of them."""
    application = replace(SERVICE, config=MARKED)
    with running_server(Experiment(server=_ONE_WORKER), application) as server:
        results = [
            replay(
                Experiment(server=_ONE_WORKER, traffic=traffic),
                0,
                (HOST, server.port),
                lambda _: None,
                lambda *_: None,
            )
            for traffic in traffics
        ]
        return results, _steps(server)


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
    application: Application, path: str, warm: float, cooling: float
) -> tuple[dict[str, float], Demand]:
    """Measure Gunicorn's part of the costs of an application of somebody else's, and its demand.

    Args:
        application: whose module and callable to serve.
        path: to ask for.
        warm: of this machine, as `request_costs` has measured it.
        cooling: the same, s.

    Raises:
        ExperimentError: when it does not boot or answer.
    """
    experiment = Experiment(server=_ONE_WORKER)
    with running_server(experiment, replace(application, config=MARKED)) as server:
        for _ in range(REQUESTS):
            _get(server.port, path)
            time.sleep(COLD)
        steps = _steps(server)
    return gunicorns_costs(steps, warm, cooling), _demand(steps)


def gunicorns_costs(steps: Steps, warm: float, cooling: float) -> dict[str, float]:
    """What the steps of Gunicorn cost cold, s; between them they had time to cool only in part."""
    finish = steps.finish()
    measured = {
        "accept": _apart(_walls(steps.accept), _walls(steps.handle)),
        "request": _apart(_walls(steps.handle), _walls(steps.app)),
        "respond": _apart(_walls(steps.answered), _walls(steps.handled)),
        "finish": finish,
        "sync_finish": finish,
    }
    cold = part(steps.gap(), warm, cooling)
    return {name: seconds / cold for name, seconds in measured.items()}


def _demand(steps: Steps) -> Demand:
    cpu = _apart([c for _, c in steps.app], [c for _, c in steps.answered])
    wall = _apart(_walls(steps.app), _walls(steps.answered))
    return Demand(cpu, max(0.0, wall - cpu))


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


def _steps(server: RunningServer) -> Steps:
    """Let the worker exit, and read its notes."""
    (process,) = server.living_workers().values()
    os.kill(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while True:
        for line in server.text().split("\n")[:-1]:
            if line.startswith(MARKS) and len(line) > len(MARKS):
                marks = json.loads(line.removeprefix(MARKS))
                if marks["accept_begins"]:
                    return Steps(
                        marks["accept_begins"],
                        marks["accept_ends"],
                        marks["handle_begins"],
                        marks["handle_ends"],
                        marks["app_begins"],
                        marks["app_ends"],
                    )
        if time.monotonic() > deadline:
            raise ExperimentError("a worker wrote no notes about its requests; expected them")
        time.sleep(0.02)
