"""The rows of all requests, where compiled code has them at hand; see `sim.model.step_costs`."""

from __future__ import annotations

from sim.run import Requests


class Columns:
    """The columns of `Requests` that the model reads and fills in, under the same names."""

    __slots__ = (
        "accepted",
        "cpu",
        "finished",
        "io",
        "outcome",
        "route",
        "started",
        "thread",
        "worker",
    )

    def __init__(self, requests: Requests) -> None:
        self.accepted = requests.accepted
        self.started = requests.started
        self.finished = requests.finished
        self.worker = requests.worker
        self.thread = requests.thread
        self.outcome = requests.outcome
        self.io = requests.io
        self.cpu = requests.cpu
        self.route = requests.route
