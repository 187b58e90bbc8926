"""What is judged of a run in which nothing is lost: its latencies, or which worker accepted.

Targets are those of `sim.validation.comparison.judge` where the server repeats itself: a latency
may be off by 10 %, a share of the accepts by 5 of 100 points. What the server does not repeat is in
the scatter of the predictions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import heapreplace
from math import log

from rank_test import Criterion, Statistics

from sim.analysis.summary import summarize
from sim.run import OUTCOMES, Run

#: Largest error of the model, of a latency as a part of it, and of a share in shares.
LATENCY_ERROR = 0.10
SHARE_ERROR = 0.05


def latencies(context: Sequence[Run]) -> Criterion[Run]:
    """Mean, median and p95 of the latency; the ``context`` does not change what is judged.

    The mean also beside that of ideal workers that serve the same requests as the run's did. All as
    logarithms, for next to saturation their distribution has a long tail to the right, and
    far too short a latency would be less surprising than many a prediction.
    """
    del context
    return Criterion(_latencies, _latency_tolerance)


def shares(context: Sequence[Run]) -> Criterion[Run]:
    """Each worker's share of the requests; the ``context`` does not change what is judged."""
    del context
    return Criterion(_shares, _share_tolerance)


def mean_behind_workers(run: Run) -> float:
    """Mean latency (s) if each worker served the requests that it did in order, and cost nothing.

    Which worker accepts is random, and decides most of a latency near saturation. What is left
    then hardly scatters.
    """
    server, rows = run.experiment["server"], run.requests
    free = {worker: [0.0] * int(server["threads"]) for worker in set(rows.worker)}
    total = 0.0
    for due, worker, io, cpu in zip(rows.arrival, rows.worker, rows.io, rows.cpu, strict=True):
        finished = max(due, free[worker][0]) + io + cpu
        heapreplace(free[worker], finished)
        total += finished - due
    return total / len(rows)


def accept_shares(run: Run) -> list[float]:
    """The same of a run, by boot order."""
    accepted = Counter(run.requests.worker)
    workers = int(run.experiment["server"]["workers"])
    return [accepted[worker] / len(run.requests) for worker in range(1, workers + 1)]


def _outcomes(run: Run) -> Counter[str]:
    return Counter(f"requests: {OUTCOMES[code]}" for code in run.requests.outcome)


def _latencies(run: Run) -> Statistics:
    latency = summarize([run]).latency
    assert latency is not None, "responses came"
    values = {"mean": latency.mean.value, "p50": latency.p50.value, "p95": latency.p95.value}
    logs = {f"log {name}": log(s) for name, s in values.items()}
    beside = latency.mean.value / mean_behind_workers(run)
    return Statistics(_outcomes(run), {**logs, "log mean beside ideal workers": log(beside)})


def _latency_tolerance(name: str, predicted: float) -> float:
    del predicted  # A part of a latency is a difference of logarithms.
    return 0.0 if name.startswith("requests") else log(1 + LATENCY_ERROR)


def _shares(run: Run) -> Statistics:
    each = enumerate(accept_shares(run), start=1)
    return Statistics(_outcomes(run), {f"share of worker {order}": share for order, share in each})


def _share_tolerance(name: str, predicted: float) -> float:
    del predicted  # A share's error is in shares.
    return 0.0 if name.startswith("requests") else SHARE_ERROR
