"""Looks at a measured run beside its predictions: outcomes, distributions, throughput."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from math import sqrt

from sim.experiment import Experiment
from sim.experiment.costs import Costs
from sim.model.simulation import predict
from sim.run import Request, Run

VARIANTS = 12

#: By which a share of the requests may differ: the servers are measured together, and compete.
SHARE = 0.1


def variants(_: str, experiment: Experiment, costs: Costs) -> list[Run]:
    """The predictions of an experiment, one for each variant of its chances."""
    asked = replace(experiment, costs=costs)
    return [predict(asked, 0, variant) for variant in range(VARIANTS)]


def distance(one: list[float], other: list[float]) -> float:
    """Lévy's: by how much two distributions, in order, differ beyond what is `near`."""

    def excess(low: list[float], high: list[float]) -> float:
        return max(
            bisect_right(low, value) / len(low) - bisect_right(high, near(value)) / len(high)
            for value in low
        )

    return max(excess(one, other), excess(other, one))


def near(time: float) -> float:
    """The longest time that is as good as this one, s."""
    return time * 1.05 + 0.005


def outcomes(predictions: list[Run], measured: Run) -> str | None:
    """Whether as many requests end in each way as in any of the predictions."""
    counts = [Counter(row.outcome for row in run.requests) for run in predictions]
    found = Counter(row.outcome for row in measured.requests)
    margin = 2 + SHARE / 2 * len(measured.requests)
    for outcome in {outcome for count in (*counts, found) for outcome in count}:
        least = min(count[outcome] for count in counts)
        most = max(count[outcome] for count in counts)
        if not least - margin <= found[outcome] <= most + margin:
            return f"{found[outcome]} of {outcome}, predicted {least} to {most}"
    return None


def latencies(predictions: list[Run], measured: Run) -> str | None:
    """Whether answered requests have taken as long."""
    return _distributions(predictions, measured, lambda row: row.latency)


def waits(predictions: list[Run], measured: Run) -> str | None:
    """Whether the application has begun as late."""
    return _distributions(predictions, measured, lambda row: row.wait)


def _distributions(
    predictions: list[Run], measured: Run, value: Callable[[Request], float]
) -> str | None:
    def values(run: Run) -> list[float]:
        return sorted(value(row) for row in run.requests if row.outcome == "ok")

    found, chances = values(measured), [values(run) for run in predictions]
    expected = sorted(chain.from_iterable(chances))
    # As far as the predictions differ among themselves, and beyond which chance alone takes
    # samples of this size one time in 20.
    allowed = max(
        SHARE,
        1.36 / sqrt(len(found)),
        *(distance(chance, expected) for chance in chances),
    )
    off = distance(found, expected)
    return None if off <= allowed else f"distributions {off:.3f} apart, expected {allowed:.3f}"


def throughput(predictions: list[Run], measured: Run) -> str | None:
    """Whether as many requests were answered while others came."""
    answered = [
        sum(
            row.outcome == "ok" and row.finished <= run.requests.arrival[-1] for row in run.requests
        )
        for run in (measured, *predictions)
    ]
    found, least, most = answered[0], min(answered[1:]), max(answered[1:])
    if not (1 - SHARE) * least - 2 <= found <= (1 + SHARE) * most + 2:
        return f"{found} answers, predicted {least} to {most}"
    return None
