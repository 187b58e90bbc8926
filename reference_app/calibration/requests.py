"""What the steps of a request cost on this machine.

One worker gets requests one after the other, with a clock at each step (`marked_config`)::

    arrival --connect--> accept --accept--> handle --request--> application's own code
                                                                     (I/O: timer slack)
    client has all <--receive-- handle is over <--respond-- application's own code ends
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from statistics import median

from reference_app.calibration.marked_config import MARKS
from reference_app.client_process import Replay, replay
from reference_app.server import HOST, SERVICE, Application, RunningServer, running_server
from sim.distribution import Distribution
from sim.errors import ExperimentError
from sim.experiment import Experiment, Server, Traffic

MARKED = "reference_app.calibration.marked_config"

#: Requests of one measurement, and how many there are per s: each is over before the next.
REQUESTS = 150
RATE = 50.0

#: s that each of them sleeps.
IO = 0.005

#: s that a worker may take to write its notes, and that an application may take to answer.
PATIENCE = 30.0

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

    def finish(self) -> float:
        """CPU of the main thread for a request, besides its accept: finishing, and its polls, s."""
        turns = [
            (after[1] - before[1]) - (accepted[1] - before[1])
            for before, accepted, after in zip(
                self.accept, self.accepted, self.accept[1:], strict=False
            )
        ]
        return median(turns)


def request_costs() -> dict[str, float]:
    """Measure, with our service, the fields of `Costs` that are about requests, in s.

    Raises:
        ExperimentError: when the server does not boot or the notes do not come.
    """
    new, steps = _replayed("new")
    assert steps is not None, "a worker that has served requests has noted them"
    kept, _ = _replayed("keepalive")
    rows, answers = new.requests, [json.loads(body) for body in new.answers]
    began = [answer["started"] for answer in answers]
    ended = [answer["ended"] for answer in answers]
    arrival = [new.start + due for due in rows.arrival]
    finished = [new.start + time for time in rows.finished]
    accept = [moment for moment, _ in steps.accept]
    handle = [moment for moment, _ in steps.handle]
    handled = [moment for moment, _ in steps.handled]
    finish = steps.finish()
    request, respond = _apart(handle, began), _apart(ended, handled)
    to_start = _apart(
        [kept.start + due for due in kept.requests.arrival],
        [json.loads(body)["started"] for body in kept.answers],
    )
    return {
        "connect": _apart(arrival, accept),
        "send": max(0.0, to_start - finish - request),
        "accept": _apart(accept, handle),
        "request": request,
        "timer_slack": _apart(began, ended) - IO,
        "respond": respond,
        "receive": max(0.0, _apart(ended, finished) - respond),
        "finish": finish,
        "sync_finish": finish,
    }


def _apart(before: Sequence[float], after: Sequence[float]) -> float:
    """The median time between two steps, without the first ten requests, which warm caches."""
    return median(b - a for a, b in zip(before[10:], after[10:], strict=True))


def _replayed(connection: str) -> tuple[Replay, Steps | None]:
    traffic = Traffic(
        arrivals="constant",
        rate=RATE,
        requests=REQUESTS,
        io=Distribution("const", (IO,)),
        connection=connection,  # type: ignore[arg-type]
    )
    experiment = Experiment(server=_ONE_WORKER, traffic=traffic)
    application = replace(SERVICE, config=MARKED)
    with running_server(experiment, application) as server:
        address = (HOST, server.port)
        result = replay(experiment, 0, address, lambda _: None, lambda *_: None)
        steps = _steps(server) if connection == "new" else None
    return result, steps


@dataclass(frozen=True, slots=True)
class Demand:
    """What an application's own code does with a request, s.

    Attributes:
        cpu: that it computes.
        io: that it waits.
    """

    cpu: float
    io: float


def application_costs(application: Application, path: str) -> tuple[dict[str, float], Demand]:
    """Measure Gunicorn's part of the costs of an application of somebody else's, and its demand.

    Args:
        application: whose module and callable to serve.
        path: to ask for.

    Raises:
        ExperimentError: when it does not boot or answer.
    """
    experiment = Experiment(server=_ONE_WORKER)
    with running_server(experiment, replace(application, config=MARKED)) as server:
        for _ in range(REQUESTS):
            _get(server.port, path)
            time.sleep(1 / RATE)
        steps = _steps(server)
    walls = [moment for moment, _ in steps.app], [moment for moment, _ in steps.answered]
    cpu = _apart([c for _, c in steps.app], [c for _, c in steps.answered])
    wall = _apart(*walls)
    costs = {
        "accept": _apart([m for m, _ in steps.accept], [m for m, _ in steps.handle]),
        "request": _apart([m for m, _ in steps.handle], walls[0]),
        "respond": _apart(walls[1], [m for m, _ in steps.handled]),
        "finish": steps.finish(),
        "sync_finish": steps.finish(),
    }
    return costs, Demand(cpu, max(0.0, wall - cpu))


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
