"""Requests to a worker with an event loop, by the moment, and what is read from their runs."""

from __future__ import annotations

from dataclasses import replace

from strategies import FREE

from sim.analysis.summary import summarize
from sim.experiment import Experiment, Host, Server, TraceRow, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Signal
from sim.model.simulation import predict
from sim.run import Run

#: s by which sums of the same times in another order may differ.
ROUNDING = 1e-9

#: Signals to the first worker, by name.
TO_WORKER = {
    name: Signal(1.0, to="worker", signal=name)
    for name in ("TERM", "QUIT", "INT", "ABRT", "STOP", "CONT")
}


def traced(server: Server, *rows: tuple[float, float, float], **traffic: object) -> Experiment:
    """Requests at given times (s) that wait and compute for given times (s)."""
    trace = tuple(TraceRow(*row) for row in rows)
    of = Traffic(arrivals="trace", trace=trace, **traffic)  # type: ignore[arg-type]
    return Experiment(server, Host(clients="remote"), of, costs=FREE)


def sent_at_once(server: Server, requests: int, **traffic: object) -> Experiment:
    """A client that sends again before the worker could close, 10 ms after each response."""
    of = Traffic(
        arrivals="closed",
        users=1,
        requests=requests,
        connection="keepalive",
        think=Distribution("const", (0.0,)),
        **traffic,  # type: ignore[arg-type]
    )
    asked = Experiment(server, traffic=of)
    return replace(asked, costs=replace(asked.costs, finish=0.01))


def mean_latency(asked: Experiment) -> tuple[float, float]:
    """The ends of the confidence interval of the mean latency, s."""
    summary = summarize([predict(asked, number) for number in range(5)])
    assert summary.outcomes["ok"] == summary.requests
    assert summary.latency is not None
    mean = summary.latency.mean
    assert mean.low is not None
    assert mean.high is not None
    return mean.low - ROUNDING, mean.high + ROUNDING


def events(run: Run, kind: str) -> list[tuple[float, str]]:
    return [(event.time, event.process) for event in run.events if event.kind == kind]


def outcomes(asked: Experiment) -> list[str]:
    return [row.outcome for row in predict(asked).requests]
