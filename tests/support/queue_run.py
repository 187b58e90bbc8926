"""Runs whose right answer is known: plain queues, simulated without the model."""

from __future__ import annotations

from random import Random
from typing import Any

from sim.experiment import Experiment, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.document import to_dict
from sim.run import OK, QueueLength, Requests, Run


def experiment_of(
    *, server: dict[str, Any] | None = None, traffic: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An experiment as it is written, with some of its values replaced."""
    written = to_dict(Experiment(Server(worker_class="gthread"), traffic=Traffic(rate=10.0)))
    written["server"].update(server or {})
    written["traffic"].update(traffic or {})
    return written


def queue_run(
    experiment: dict[str, Any],
    *,
    requests: int,
    replication: int = 0,
    shares: tuple[float, ...] = (1.0,),
    cost: float = 0.0,
) -> Run:
    """Poisson arrivals, dealt to workers at random by ``shares``, each worker a FIFO of threads.

    Every thread's next free time is kept in a list and searched: slow and plain, to be no copy of
    the heap in `sim.analysis.ideal`. ``cost`` s are added to each service, beside the demand.
    """
    random = Random(f"queue_run {replication}")
    traffic = experiment["traffic"]
    draw_io = Distribution.parse(traffic["io"]).sampler(random)
    draw_cpu = Distribution.parse(traffic["cpu"]).sampler(random)
    free = [[0.0] * experiment["server"]["threads"] for _ in shares]
    waited = [0.0] * len(shares)
    rows = Requests()
    clock = 0.0
    for _ in range(requests):
        clock += random.expovariate(traffic["rate"])
        worker = random.choices(range(len(shares)), shares)[0]
        row = rows.append(clock, draw_io(), draw_cpu())
        thread = free[worker].index(min(free[worker]))
        started = max(clock, free[worker][thread])
        finished = started + rows.io[row] + rows.cpu[row] + cost
        free[worker][thread] = finished
        waited[worker] += started - clock
        rows.accepted[row] = clock
        rows.started[row] = started
        rows.finished[row] = finished
        rows.worker[row] = worker + 1
        rows.thread[row] = thread + 1
        rows.outcome[row] = OK
    span = max(rows.finished) - rows.arrival[0]
    queues = [QueueLength("accept queue", 0.0, 1)]
    for worker, total in enumerate(waited, start=1):
        queues.append(QueueLength(f"worker {worker}", total / span, 1 if total else 0))
    return Run("sim", experiment, replication, rows, queues=tuple(queues), gunicorn="27.0")
