"""What is judged of a run beside its predictions: ends of requests, distributions, throughput."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import chain
from statistics import fmean

from rank_test import Criterion, Statistics, Tolerance

from sim.run import OK, OUTCOMES, Run

#: Requests that may differ by the model's error, and a share of all besides: the servers are
#: measured together, and compete. A request whose outcome changes is one more of one outcome and
#: one less of another.
FEW, SHARE = 2, 0.1

#: Latencies and waits that differ by less are the same: a part of the time, and s.
RELATIVE, ABSOLUTE = 0.05, 0.005


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Levy distance of two sorted samples, with `near` for its epsilon.

    That is the largest share of one sample that the other has not within `near`.
    """

    def excess(low: Sequence[float], high: Sequence[float]) -> float:
        return max(
            bisect_right(low, value) / len(low) - bisect_right(high, near(value)) / len(high)
            for value in low
        )

    if not one or not other:
        return float(bool(one) != bool(other))
    return max(excess(one, other), excess(other, one))


def near(time: float) -> float:
    """The longest time that counts as the same as this one, s."""
    return time * (1 + RELATIVE) + ABSOLUTE


def criteria(context: Sequence[Run]) -> Criterion[Run]:
    """What is judged; the times of a run are held against those of all of ``context``."""
    # Of the times of all of them as many as one run has.
    latencies, waits = (
        sorted(chain.from_iterable(times(run) for run in context))[
            len(context) // 2 :: len(context)
        ]
        for times in (_latencies, _waits)
    )
    requests = fmean(len(run.requests) for run in context)
    return Criterion(
        partial(_observe, latencies, waits), _tolerance_of(requests, max(1, len(latencies)))
    )


def _observe(latencies: Sequence[float], waits: Sequence[float], run: Run) -> Statistics:
    counts: Counter[str] = Counter(f"requests: {OUTCOMES[code]}" for code in run.requests.outcome)
    values = {
        # Responses while others still arrive.
        "throughput": _throughput(run),
        "latencies: distance from the predicted": distance(_latencies(run), latencies),
        "waits: distance from the predicted": distance(_waits(run), waits),
    }
    return Statistics(counts, values)


def _tolerance_of(requests: float, answered: int) -> Tolerance:
    """The model's target for each statistic of so many requests."""

    def tolerance(name: str, predicted: float) -> float:
        if name.startswith("requests"):
            return FEW + SHARE / 2 * requests
        if name == "throughput":
            return FEW + SHARE * predicted
        return FEW / answered + SHARE

    return tolerance


def _latencies(run: Run) -> list[float]:
    rows = run.requests
    return sorted(rows.finished[number] - rows.arrival[number] for number in _answered(run))


def _waits(run: Run) -> list[float]:
    rows = run.requests
    return sorted(rows.started[number] - rows.arrival[number] for number in _answered(run))


def _answered(run: Run) -> list[int]:
    return [number for number, outcome in enumerate(run.requests.outcome) if outcome == OK]


def _throughput(run: Run) -> int:
    rows = run.requests
    return sum(rows.finished[number] <= rows.arrival[-1] for number in _answered(run))
