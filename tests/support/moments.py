"""Runs of a request or two by the moment, where nothing costs time but what a test lets cost it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from sim.experiment import Experiment, LaunchDarkly, Probe, Proxy, Server, TraceRow, Traffic
from sim.experiment.costs import PARTS, Costs
from sim.experiment.disturbance import Disturbance
from sim.model import predict
from sim.run import Run

SYNC = Server(workers=1, preload_app=True)
GTHREAD = Server(workers=1, threads=2, preload_app=True)

#: Each step costs nothing, and always the same.
FREE = Costs(**{cost.name: 1.0 if cost.name in PARTS else 0.0 for cost in fields(Costs)})


def run_of(
    server: Server,
    arrivals: Iterable[tuple[float, float]],
    *disturbances: Disturbance,
    costs: Costs = FREE,
    probes: tuple[Probe, ...] = (),
    launchdarkly: bool = False,
    proxy: Proxy | None = None,
    **traffic: Any,  # noqa: ANN401
) -> Run:
    """A run of requests (s of arrival, s of I/O); each step of the server costs nothing."""
    trace = tuple(TraceRow(at, io, 0.0) for at, io in arrivals)
    asked = Traffic(arrivals="trace", trace=trace, **{"drain": 30.0, **traffic})
    return predict(
        Experiment(
            server,
            traffic=asked,
            costs=costs,
            probes=probes,
            proxy=proxy or Proxy(),
            launchdarkly=LaunchDarkly(enabled=launchdarkly),
            disturbances=disturbances,
            replications=1,
        )
    )


def times(run: Run, kind: str) -> list[tuple[float, str]]:
    """When each event of that kind came, and to which process."""
    return [(event.time, event.process) for event in run.events if event.kind == kind]
