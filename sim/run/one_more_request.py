"""One more request than an experiment sends: the same requests, as a trace, and one beside them."""

from __future__ import annotations

from dataclasses import replace

from sim.errors import ExperimentError
from sim.experiment import Experiment
from sim.experiment.disturbance import Rate
from sim.experiment.traffic import TraceRow
from sim.run.arrivals import schedule


def with_one_more(
    experiment: Experiment, at: float, io: float, cpu: float, replication: int = 0
) -> Experiment:
    """The experiment with one more request, which does not change anything before it comes.

    All requests of the replication become a trace, with the same arrivals and demands: then every
    random stream of the server draws the same. Changes of the rate are in the arrivals already.

    Args:
        experiment: an open loop.
        at: when the request comes, s since the start of the run.
        io: s that it waits.
        cpu: s that it computes.
        replication: which requests of the experiment.

    Raises:
        ExperimentError: in a closed loop, whose requests come when answers do; or when a value is
            out of range.
    """
    traffic = experiment.traffic
    if traffic.arrivals == "closed":
        raise ExperimentError(
            "arrivals is 'closed', whose requests come when answers do; expected an open loop"
        )
    rows = [
        TraceRow(row.arrival, row.io, row.cpu, row.route or "")
        for row in schedule(experiment, replication)
    ]
    place = sum(row.arrival_s <= at for row in rows)
    trace = (*rows[:place], TraceRow(at, io, cpu), *rows[place:])
    return replace(
        experiment,
        traffic=replace(traffic, arrivals="trace", trace=trace, routes=(), requests=None),
        disturbances=tuple(
            disturbance
            for disturbance in experiment.disturbances
            if not isinstance(disturbance, Rate)
        ),
    )
