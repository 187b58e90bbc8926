"""One prediction of logged requests, as Gunicorn's log and the proxy's would have it."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sim.experiment import Experiment, TraceRow
from sim.model.caches.pace import Pace
from sim.model.simulation import predict
from sim.reading.logged_requests import in_order
from sim.run import OK
from sim.study.backtest.served import Served


@dataclass(frozen=True, slots=True)
class Views:
    """The requests of a prediction that were answered, as two logs see them.

    Attributes:
        rows: their rows in the prediction.
        served: from the start of the application to its response, as Gunicorn logs it.
        passed: from the connection to Gunicorn to the response, as a proxy logs it.
        lost: requests that were not answered.
    """

    rows: array[int]
    served: Served
    passed: Served
    lost: int


def with_trace(base: Experiment, rows: Iterable[TraceRow]) -> Experiment:
    """The experiment with these requests."""
    trace = tuple(rows)
    return replace(base, traffic=replace(base.traffic, arrivals="trace", trace=trace))


def predicted_views(experiment: Experiment, replication: int) -> Views:
    """Predict a trace, and take what only its client sees from the times.

    What a client takes to connect and to read is in no log of Gunicorn's. The model charges it at
    the pace of `sim.model.caches.pace.Pace`, which is computed here again.
    """
    requests = predict(experiment, replication).requests
    costs, proxy = experiment.costs, experiment.proxy
    rows = array("l", (row for row, code in enumerate(requests.outcome) if code == OK))
    finished = array("d", (requests.finished[row] for row in rows))
    arrival = array("d", (requests.arrival[row] for row in rows))
    read = _paced(finished, costs.receive if proxy.local or not proxy.present else 0.0, experiment)
    # To a log of Gunicorn's, what nginx takes for a response comes after it.
    sent = _paced(finished, costs.proxy_response if proxy.local else 0.0, experiment)
    connected = _paced(arrival, costs.connect if proxy.local else 0.0, experiment)
    # Without a proxy, the client is what a proxy would be: it connects, and reads.
    passed_end = read if proxy.local else array("d", [0.0]) * len(rows)
    routes = [
        requests.routes[requests.route[row]] if requests.routes and requests.route[row] >= 0 else ""
        for row in rows
    ]
    workers = [requests.worker[row] for row in rows]
    started = [requests.started[row] for row in rows]
    return Views(
        rows,
        Served(
            started,
            [
                max(0.0, end - begin - own - passing)
                for begin, end, own, passing in zip(started, finished, read, sent, strict=True)
            ],
            workers,
            routes,
        ),
        Served(
            [come + own for come, own in zip(arrival, connected, strict=True)],
            [
                max(0.0, end - come - before - after)
                for come, end, before, after in zip(
                    arrival, finished, connected, passed_end, strict=True
                )
            ],
            workers,
            routes,
        ),
        len(requests) - len(rows),
    )


def _paced(moments: array[float], cold: float, experiment: Experiment) -> array[float]:
    """What a step that is ``cold`` s after long idleness costs at these ``moments``, s."""
    pace = Pace(experiment.costs)
    costs = array("d", [0.0]) * len(moments)
    if cold:
        for row in in_order(moments):
            costs[row] = cold * pace.step(moments[row])
    return costs
