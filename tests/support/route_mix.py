"""Two routes: as an experiment that the real server takes, and as a part of a file."""

from __future__ import annotations

from sim.experiment import Experiment, Route, Server, Traffic
from sim.experiment.distribution import Distribution

#: Health checks wait behind reports: threads are busy for six tenths of the time.
MIX = Experiment(
    Server(workers=1, threads=4, preload_app=True),
    traffic=Traffic(
        rate=50.0,
        duration=4.0,
        drain=5.0,
        routes=(
            Route("/health", 0.6, Distribution("const", (0.004,))),
            Route("/report", 0.4, Distribution("exp", (0.12,)), Distribution("const", (0.002,))),
        ),
    ),
    seed=5,
    replications=1,
)

#: The routes of a file.
TOML = """
[[traffic.route]]
name = "/health"
share = 0.75
cpu = "const:0.001"
[[traffic.route]]
name = "/report"
share = 0.25
io = "exp:0.3"
cpu = "const:0.02"
"""
