"""Trouble by worker class: what real workers with an event loop do, and what the model says of it.

Goal: the model has the ends that real requests and processes have. Method: each scenario is a
trace, measured once and predicted `PREDICTIONS` times with the default costs. A worker looks once a
second whether it is to stop, and in which part of its second trouble comes is chance: so each
prediction begins in another part of it. All are measured beside each other, and beside those of
other modules: so times are judged by half a second, a worker or its master may look a second later,
and requests that are answered or refused by what arrives in half a second. What differs is measured
once more, beside few others. What can follow on other trouble does, on the same server: a boot
costs more than all requests of a scenario.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import cycle, islice

import pytest
from compiled_processes import in_processes
from looks import Measured, Measurements, measured_run
from predictions import predicted_run

from sim.experiment import Experiment, LaunchDarkly, Server, TraceRow, Traffic, WorkerClass
from sim.experiment.disturbance import Disturbance, FlagService, Hang, Signal
from sim.run import OUTCOMES, Run

PREDICTIONS = 8

CLASSES: tuple[WorkerClass, ...] = ("gevent", "asgi", "uvicorn")

#: When trouble begins, s; when more trouble does, if what came before is over by then, and if that
#: takes long; and gap (s) between two of the requests that are always there.
AT = 1.0
THEN = 3.0
MUCH_LATER = 6.5
GAP = 0.05

#: When a request comes that waits for long: its worker holds it when trouble begins, s.
LONG_AT = 0.52

#: When a request of a scenario's own comes, s: when no other is under way.
OWN_AT = AT + 0.7 * GAP

#: Time (s) that an event may be early, and late: by a look more.
EARLY, LATER = 0.5, 2.0

#: Requests that may be answered, refused or late in another way than predicted.
REQUESTS_OFF = round(EARLY / GAP)

#: Latency (s) from which a request counts as late.
LATE = 0.3


@dataclass(frozen=True)
class Scenario:
    """Something that goes wrong, with any worker class.

    Attributes:
        own: requests beside those that are always there: arrival, I/O, CPU, s each.
        duration: time (s) for which those come.
        timeout: Gunicorn's, s.
        shows: what the real server must have done for the scenario to be one.
        gap: time (s) between two of the requests that are always there.
        hit: requests that trouble may hit, or not, by chance.
        events_off: events of a kind that may come before or after the end by chance, where they
            follow from each other.
    """

    shows: Callable[[Run], bool]
    disturbances: tuple[Disturbance, ...] = ()
    own: tuple[TraceRow, ...] = ()
    duration: float = 4.5
    drain: float = 2.0
    connection: str = "new"
    blocking_io: float = 0.0
    gap: float = GAP
    hit: int = 3
    events_off: int = 0
    server: Server = field(default_factory=lambda: Server(workers=2, preload_app=True))
    launchdarkly: LaunchDarkly = field(default_factory=LaunchDarkly)

    def experiment(self, worker_class: WorkerClass, later: float = 0.0) -> Experiment:
        """The scenario as an experiment of one replication, which begins so much later (s)."""
        usual = [
            TraceRow(self.gap * number, 0.02, 0.001)
            for number in range(round(self.duration / self.gap))
        ]
        rows = [
            replace(row, arrival_s=row.arrival_s + later)
            for row in sorted([*usual, *self.own], key=lambda row: row.arrival_s)
        ]
        return Experiment(
            replace(self.server, worker_class=worker_class),
            traffic=Traffic(
                arrivals="trace",
                trace=tuple(rows),
                drain=self.drain,
                connection=self.connection,  # type: ignore[arg-type]
                blocking_io=self.blocking_io,
            ),
            launchdarkly=self.launchdarkly,
            disturbances=tuple(replace(each, at=each.at + later) for each in self.disturbances),
            seed=3,
            replications=1,
        )


def _ends(run: Run) -> Counter[str]:
    return Counter(OUTCOMES[code] for code in run.requests.outcome)


def _number(outcome: str, run: Run) -> int:
    return _ends(run)[outcome]


def _late(run: Run) -> int:
    rows = run.requests
    return sum(
        OUTCOMES[outcome] == "ok" and finished - arrival > LATE
        for outcome, finished, arrival in zip(
            rows.outcome, rows.finished, rows.arrival, strict=True
        )
    )


def _times(run: Run, kind: str) -> list[float]:
    """When events of a kind came, s since the first request."""
    times = (event.time - run.requests.arrival[0] for event in run.events if event.kind == kind)
    return [time for time in times if time >= 0]


def _occurrences(kind: str, run: Run) -> int:
    return len(_times(run, kind))


def _all_served(run: Run) -> bool:
    return set(_ends(run)) == {"ok"}


def _killed(run: Run) -> bool:
    return bool(_times(run, "timeout")) and _ends(run)["ok"] < len(run.requests)


#: uvicorn's worker heartbeats every second and a little: a `timeout` of 1 kills it for nothing.
IMPATIENT = Server(workers=2, preload_app=True, timeout=2)
FLAGS_AWAY = LaunchDarkly(enabled=True, reachable=False, start_wait=1.0)

SCENARIOS = {
    "a worker is killed, and a request of the other hangs": Scenario(
        lambda run: (
            len(_times(run, "fork")) == 1
            and not _times(run, "timeout")
            and _number("unfinished", run) == 1
        ),
        (
            Signal(at=AT, signal="KILL", worker=1),
            Hang(at=THEN, worker=2, threads=1, seconds=60.0),
        ),
        duration=5.5,
        server=IMPATIENT,
    ),
    # The master looks once a second, so the worker lives for up to four.
    "a request computes for longer than timeout": Scenario(
        _killed,
        own=(TraceRow(LONG_AT, 4.0, 0.0), TraceRow(OWN_AT, 0.0, 8.0)),
        hit=0,
        server=replace(IMPATIENT, workers=1),
        gap=0.4,  # no other request is under way then
        duration=4.5,
        drain=4.0,
    ),
    "requests block both event loops, and then one for longer than timeout": Scenario(
        lambda run: _killed(run) and _late(run) > 0,
        own=(
            # The second finds only the other worker awake.
            TraceRow(OWN_AT, 0.6, 0.0),
            TraceRow(OWN_AT + 0.01, 0.6, 0.0),
            TraceRow(OWN_AT + THEN - AT, 8.0, 0.0),
        ),
        blocking_io=1.0,
        server=IMPATIENT,
        # The other worker serves on: the run ends with its last response.
        duration=8.5,
        # An asyncio worker accepts all that wait at once, and has them beside the one that blocks.
        hit=REQUESTS_OFF,
    ),
    "reload, and then stop, with kept connections": Scenario(
        lambda run: len(_times(run, "fork")) == 2 and _ends(run)["refused"] > 0,
        (
            Signal(at=AT, signal="HUP", to="master"),
            Signal(at=MUCH_LATER, signal="TERM", to="master"),
        ),
        duration=MUCH_LATER + 3.0,
        connection="keepalive",
    ),
    "quit": Scenario(
        lambda run: _ends(run)["refused"] > 0,
        (Signal(at=AT, signal="QUIT", to="master"),),
        # Those that come until the last process has closed the socket, which takes it a while.
        hit=20,
        duration=4.0,
        server=Server(workers=2, preload_app=True, graceful_timeout=1),
    ),
    "max_requests": Scenario(
        lambda run: bool(_times(run, "max_requests")),
        server=Server(workers=2, preload_app=True, max_requests=15),
        duration=4.0,
        events_off=1,
    ),
    "LaunchDarkly is away as a worker boots, and back as another does": Scenario(
        lambda run: len(_times(run, "postfork failed")) == 1 and len(_times(run, "postfork")) == 1,
        (
            Signal(at=AT, signal="KILL", worker=1),
            FlagService(at=THEN - 0.2, reachable=True),
            Signal(at=THEN, signal="KILL", worker=2),
        ),
        duration=5.0,
        launchdarkly=FLAGS_AWAY,
    ),
}

CASES = [(worker_class, name) for worker_class in CLASSES for name in SCENARIOS]


@cache
def predicted() -> dict[tuple[WorkerClass, str], list[Run]]:
    """Every case, predicted on all cores before anything is measured."""
    variants = range(PREDICTIONS)
    experiments = [
        SCENARIOS[name].experiment(worker_class, variant / PREDICTIONS)
        for worker_class, name in CASES
        for variant in variants
    ]
    runs = iter(in_processes(predicted_run, experiments, cycle(variants), chunk=PREDICTIONS))
    return {case: list(islice(runs, PREDICTIONS)) for case in CASES}


EXHIBIT = Measurements(
    measured_run,
    {
        (worker_class, name): SCENARIOS[name].experiment(worker_class)
        for worker_class, name in CASES
    },
    before=predicted,
    surprises=lambda case, run: bool(complaints(case, run)),
)


def complaints(case: tuple[WorkerClass, str], run: Run) -> list[str]:
    """What is wrong with a measured run of a case."""
    scenario = SCENARIOS[case[1]]
    if not scenario.shows(run):
        return [f"it is not that trouble: {_ends(run)}, {run.events}"]
    return _strange(scenario, run, predicted()[case])


def _strange(scenario: Scenario, found: Run, predictions: Sequence[Run]) -> list[str]:
    """What of a measured run is in no prediction, or near one."""
    complaints = []

    def count(what: str, number: Callable[[Run], int], off: int) -> None:
        numbers = [number(run) for run in predictions]
        if not min(numbers) - off <= number(found) <= max(numbers) + off:
            complaints.append(f"{what}: {number(found)}, predicted {sorted(set(numbers))}")

    runs = (found, *predictions)
    for outcome in sorted({end for run in runs for end in _ends(run)}):
        answered_or_refused = outcome in ("ok", "refused")
        off = max(scenario.hit, REQUESTS_OFF) if answered_or_refused else scenario.hit
        count(f"requests {outcome}", partial(_number, outcome), off)
    if scenario.blocking_io:
        count("late requests", _late, 2 * REQUESTS_OFF)
    for kind in sorted({event.kind for run in runs for event in run.events if event.time >= 0}):
        count(f"events {kind}", partial(_occurrences, kind), scenario.events_off)
        for number, time in enumerate(_times(found, kind)):
            each = (_times(run, kind) for run in predictions)
            of_it = [times[number] for times in each if len(times) > number]
            early, later = EARLY + scenario.events_off, LATER + scenario.events_off
            if of_it and not min(of_it) - early <= time <= max(of_it) + later:
                complaints.append(
                    f"{kind} {number} at {time:.2f} s, predicted {min(of_it):.2f} to "
                    f"{max(of_it):.2f} s"
                )
    return complaints


@pytest.mark.parametrize(("worker_class", "name"), CASES)
def test_trouble_is_as_predicted(
    worker_class: WorkerClass,
    name: str,
    measured: Measured[tuple[WorkerClass, str], Run],
) -> None:
    case = worker_class, name
    wrong = complaints(case, measured[case])
    assert not wrong, "; ".join(wrong)
