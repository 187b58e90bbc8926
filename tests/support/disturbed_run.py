"""Runs in which something goes wrong, made by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from queue_run import experiment_of

from sim.experiment.disturbance import Disturbance
from sim.run import OUTCOMES, ProcessEvent, Requests, Run, Source

NAN = math.nan

#: (time, kind, process) of a server of 2 workers that boots before the first arrival.
BOOT = (
    (-0.4, "listening", "master"),
    (-0.3, "fork", "worker 1"),
    (-0.2, "ready", "worker 1"),
    (-0.2, "fork", "worker 2"),
    (-0.1, "ready", "worker 2"),
)


def events_of(*events: tuple[float, str, str]) -> tuple[ProcessEvent, ...]:
    return tuple(ProcessEvent(*event) for event in events)


def written(disturbances: Iterable[Disturbance]) -> list[dict[str, Any]]:
    """Disturbances as an experiment's document has them; what is None is left out."""
    return [
        {
            "kind": disturbance.kind,
            **{key: value for key, value in asdict(disturbance).items() if value is not None},
        }
        for disturbance in disturbances
    ]


def rows_of(*rows: tuple[float, float, float, str]) -> Requests:
    """Rows of (arrival, started, finished, outcome); worker 1 runs what starts, for 10 ms."""
    requests = Requests()
    for arrival, started, finished, outcome in rows:
        row = requests.append(arrival, 0.01, 0.0)
        requests.started[row], requests.finished[row] = started, finished
        requests.outcome[row] = OUTCOMES.index(outcome)
        if not math.isnan(started):
            requests.worker[row] = requests.thread[row] = 1
    return requests


def disturbed_run(
    disturbances: Iterable[Disturbance],
    events: Iterable[tuple[float, str, str]] = (),
    rows: Requests | None = None,
    *,
    source: Source = "sim",
    **server: Any,  # noqa: ANN401
) -> Run:
    """A run of 2 workers x 2 threads that boots well, unless ``server`` says otherwise."""
    experiment = experiment_of(server={"workers": 2, "threads": 2, **server})
    experiment["disturbance"] = written(disturbances)
    boot = [event for event in BOOT if server.get("workers", 2) == 2 or "2" not in event[2]]
    happened = events_of(*sorted((*boot, *events), key=lambda event: event[0]))
    return Run(source, experiment, 0, Requests() if rows is None else rows, happened)
