"""What a request costs in larger and larger experiments: one axis at a time, all else the same."""

from __future__ import annotations

from dataclasses import replace

from sim.experiment import Experiment, Host, Server, TraceRow, Traffic
from sim.experiment.costs import PARTS, Costs
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict

#: Requests of every point, but of those on the axes of requests and of what waits.
REQUESTS = 20_000

#: Requests for each worker, at least, for each has booted.
OF_A_WORKER = 500

#: Requests of which as many wait from the beginning to the end, but while the last ones leave.
QUEUED = 50_000

#: The points of each axis.
AXES: dict[str, tuple[int, ...]] = {
    "requests": (2_000, 20_000, 200_000),
    "workers": (1, 2, 4, 16, 64, 256),
    "sockets": (1, 4, 16, 64, 256),
    "rate": (25, 100, 400, 1_600, 6_400),
    "threads": (1, 4, 16, 64, 256),
    "waiting": (10, 100, 1_000, 10_000),
}


def experiment_at(axis: str, value: int) -> Experiment:
    """The experiment at ``value`` on ``axis``, with all costs, the cores and the GIL.

    Five of eight threads are busy, but all of them on the axis "waiting".
    """
    server = Server(worker_class="gthread", workers=2, threads=2)
    traffic = Traffic(rate=50.0, requests=REQUESTS, io=Distribution("exp", (0.05,)))
    if axis == "requests":
        return Experiment(server, traffic=replace(traffic, requests=value))
    if axis in {"workers", "sockets"}:
        # Longer requests, not more of them, which would be another axis.
        return _many(value, 25.0, traffic, reuse_port=axis == "sockets")
    if axis == "rate":
        return _many(256, float(value), traffic, reuse_port=False)
    if axis == "threads":
        # Longer requests, not more of them, for all threads of a worker share one GIL.
        io = Distribution("exp", (0.025 * value,))
        return Experiment(replace(server, threads=value), traffic=replace(traffic, io=io))
    # One worker: of two, the one in which more wait accepts more, and the other's threads idle.
    return _queue_of(value, replace(server, workers=1, threads=4))


def _many(workers: int, rate: float, traffic: Traffic, *, reuse_port: bool) -> Experiment:
    """So many workers, with a core each, that share a socket or have one each."""
    io = Distribution("exp", (1.25 * workers / rate,))
    # More connections than threads, and one worker of many cores would take more than it can serve.
    server = Server(
        worker_class="gthread",
        workers=workers,
        threads=2,
        worker_connections=2,
        reuse_port=reuse_port,
    )
    # One load generator on these cores would not send so much.
    host = Host(cores=workers, clients="remote")
    requests = max(REQUESTS, OF_A_WORKER * workers)
    return Experiment(server, host, replace(traffic, rate=rate, io=io, requests=requests))


def _queue_of(waiting: int, server: Server) -> Experiment:
    """As many requests wait from the beginning to the end: one comes whenever one has left."""
    server = replace(server, worker_connections=10**6, backlog=10**6)
    row = TraceRow(0.0, 0.05, 0.0)
    served = Traffic(arrivals="trace", trace=(row,) * QUEUED, drain=1e6)
    host = Host(somaxconn=10**6, clients="remote")  # for all those that come at once
    # Without the pace of steps: those that come at once would cost less than those that come later,
    # and more would come than leave.
    costs = Costs(**dict.fromkeys(PARTS, 1.0))
    experiment = Experiment(server, host, served, costs=costs)
    at_once = waiting + server.concurrency
    # They leave later where others come meanwhile than where all came at once: nearer each time.
    for _ in range(5):
        leaves = sorted(predict(experiment).requests.finished)
        arrivals = [0.0] * at_once + leaves[: QUEUED - at_once]
        trace = tuple(replace(row, arrival_s=arrival) for arrival in arrivals)
        experiment = replace(experiment, traffic=replace(served, trace=trace))
    return experiment
