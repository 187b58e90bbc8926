"""A validation of small experiments, for tests of how one is carried out."""

from __future__ import annotations

from reference_app.calibration.calibrate import Tell
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution

HOST = Host()


def not_asked(_: Tell) -> Costs:
    """Where the costs are given, nobody looks at the machine."""
    raise AssertionError("asked")


def small(number: int) -> Experiment:
    """Not a cell of the grid, which would take ten times as long."""
    server = Server(workers=2, threads=2, preload_app=True)
    traffic = Traffic(rate=200.0, requests=60, io=Distribution("const", (0.003,)))
    return Experiment(server, traffic=traffic, seed=number, replications=1)
