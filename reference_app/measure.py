"""Measures an experiment: real Gunicorn, the experiment's own requests, one run."""

from __future__ import annotations

import json
from collections.abc import Iterable

from reference_app.client import LoadGenerator, Progress
from reference_app.server import HOST, RunningServer, running_server
from sim.experiment import Experiment
from sim.experiment_file import to_dict
from sim.run import ProcessEvent, Requests, Run
from sim.traffic import source


def measure(experiment: Experiment, replication: int, progress: Progress) -> Run:
    """Start Gunicorn, replay one replication at it, stop it, and return what happened.

    Each run gets a server of its own: which core a worker's life began on and in which order the
    workers registered their listener are part of what a repetition must repeat.

    Raises:
        ExperimentError: when the server does not boot.
    """
    with running_server(experiment) as server:
        generator = LoadGenerator(experiment, source(experiment, replication), (HOST, server.port))
        requests = generator.run(progress)
        _read_answers(requests, generator.answers, generator.start, server)
        events = server.events(generator.start)
    return Run("reference_app", to_dict(experiment), replication, requests, _by_time(events))


def _read_answers(
    requests: Requests, answers: list[bytes], start: float, server: RunningServer
) -> None:
    """Fill in who served each request and when, from what the service answered."""
    boot_order = {pid: number for number, pid in server.workers().items()}
    for row, body in enumerate(answers):
        if not body.startswith(b"{"):
            continue
        answer = json.loads(body)
        requests.started[row] = answer["started"] - start
        requests.worker[row] = boot_order[answer["pid"]]
        requests.thread[row] = answer["thread"]


def _by_time(events: Iterable[ProcessEvent]) -> tuple[ProcessEvent, ...]:
    return tuple(sorted(events))
