"""Measures an experiment: real Gunicorn, the experiment's own requests, one run."""

from __future__ import annotations

import json

from reference_app.client import Progress
from reference_app.client_process import Replay, replay
from reference_app.server import HOST, RunningServer, running_server
from sim.experiment import Experiment
from sim.experiment_file import to_dict
from sim.run import Run


def measure(experiment: Experiment, replication: int, progress: Progress) -> Run:
    """Start Gunicorn, replay one replication at it, stop it, and return what happened.

    Each run gets a server of its own: which core a worker's life began on and in which order the
    workers registered their listener are part of what a repetition must repeat.

    Raises:
        ExperimentError: when the server does not boot.
    """
    with running_server(experiment) as server:
        result = replay(experiment, replication, (HOST, server.port), progress)
        _read_answers(result, server)
        events = server.events(result.start)
    return Run("reference_app", to_dict(experiment), replication, result.requests, events)


def _read_answers(result: Replay, server: RunningServer) -> None:
    """Fill in who served each request and when, from what the service answered."""
    boot_order = {pid: number for number, pid in server.workers().items()}
    requests = result.requests
    for row, body in enumerate(result.answers):
        if not body.startswith(b"{"):
            continue
        answer = json.loads(body)
        requests.started[row] = answer["started"] - result.start
        requests.worker[row] = boot_order[answer["pid"]]
        requests.thread[row] = answer["thread"]
