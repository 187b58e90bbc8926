"""How far a prediction is from a measurement of the very same requests.

Both sides are repeated: the measurement because a server does not do the same twice, the
prediction because the model draws the server's chances (its ``variant``). A `Figure` sets their
means side by side, with what each side's own repetitions differ by, and with what one ideal
shared queue would have made of the same requests.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

from sim.analysis.ideal import ideal
from sim.analysis.losses import combined_losses
from sim.analysis.quantile import quantile
from sim.analysis.recovery import combined
from sim.analysis.summary import Summary
from sim.experiment.worker_class import slots
from sim.run import OK, OUTCOMES, Requests, Run
from sim.validation.rank_sum import least_p_value, p_value
from sim.validation.side_by_side import (
    PairedEvent,
    PairedLoss,
    PairedRecovery,
    pair_events,
    pair_losses,
    pair_recoveries,
)

SCHEMA = "gunicorn-comparison/1"

Unit = Literal["s", "1/s", "ratio", "share"]
Verdict = Literal["within 5 %", "within 10 %", "within scatter", "off"]

#: The measures of `sim.analysis.summary.Times` that are compared, by time.
MEASURES: Mapping[str, tuple[str, ...]] = {
    "latency": ("mean", "p50", "p90", "p95", "p99", "max"),
    "wait": ("mean", "p50", "p95", "p99"),
}

#: The same of each route, by time.
OF_ROUTES: Mapping[str, tuple[str, ...]] = {
    "latency": ("mean", "p50", "p95", "p99"),
    "wait": ("mean",),
}

#: The value of each figure in one variant or repeat, by `Figure.name`; None is not known.
Values = Mapping[str, float | None]

#: Of the variants, those outside `Figure.predicted_low` and `Figure.predicted_high`.
LOW, HIGH = 0.05, 0.95

#: Error of the model that the rank-sum test allows: a part of the median prediction, of a share
#: absolute.
ERROR, SHARE_ERROR = 0.10, 0.05

#: How often the rank-sum test may reject a figure for nothing.
FALSE_ALARM = 0.01


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, predicted and measured.

    An error is (value - measured) / measured; of a ``share`` it is value - measured, because a
    worker's share can be next to nothing. What is not known is None.

    Attributes:
        name: ``latency_mean``, ``throughput``, ``share_worker_1``, ...
        unit: ``s``, ``1/s``, ``ratio`` (of busy threads) or ``share`` (of the requests that any
            worker ran, from 0 to 1).
        predicted: mean over the variants.
        measured: mean over the repeats.
        error: of ``predicted``.
        spread: largest minus smallest repeat, divided by ``measured`` unless it is a ``share``;
            None with a single repeat.
        predicted_low: 5 % of the variants are below; None with a single variant.
        predicted_high: 5 % of the variants are above; None with a single variant.
        ideal: of one ideal shared queue; None for what it does not have.
        ideal_error: of ``ideal``.
        p_value: of the repeats among the variants; see `sim.validation.rank_sum`.
        least_p_value: smallest that so many repeats and variants can have.
        verdict: see `judge`.
    """

    name: str
    unit: Unit
    predicted: float | None
    measured: float | None
    error: float | None
    spread: float | None
    predicted_low: float | None
    predicted_high: float | None
    ideal: float | None
    ideal_error: float | None
    p_value: float | None
    least_p_value: float | None
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A prediction beside a measurement.

    Attributes:
        experiment: the experiment, as `sim.experiment.document.to_dict` writes it.
        predicted_gunicorn: release that was predicted; None where the runs do not say.
        measured_gunicorn: the same of the measurement.
        repeats: how often it was measured.
        variants: how often it was predicted.
        figures: times first, then throughput, utilization, times and losses of each route, and
            each worker's share.
        predicted_outcomes: number of requests by outcome in one variant, the mean over them.
        measured_outcomes: the same of one repeat.
        recovery: what each disturbance cost, on either side; see `sim.analysis.recovery`.
        losses: what requests were lost to, on either side; see `sim.analysis.losses`.
        timeline: process events of the first variant and of the first repeat.
        overload: reasons of an overload, from the measurement; see `sim.analysis.overload.Load`.
    """

    experiment: dict[str, Any]
    predicted_gunicorn: str | None
    measured_gunicorn: str | None
    repeats: int
    variants: int
    figures: tuple[Figure, ...]
    predicted_outcomes: dict[str, float]
    measured_outcomes: dict[str, float]
    recovery: tuple[PairedRecovery, ...]
    losses: tuple[PairedLoss, ...]
    timeline: tuple[PairedEvent, ...]
    overload: tuple[str, ...]

    def figure(self, name: str) -> Figure:
        """The figure of that ``name``.

        Raises:
            KeyError: when there is none.
        """
        for figure in self.figures:
            if figure.name == name:
                return figure
        raise KeyError(name)


def compare(
    predicted: Sequence[Summary], measured: Sequence[Summary], perfect: Summary
) -> Comparison:
    """Compare predictions with measurements of the same requests.

    Args:
        predicted: one summary for each variant, at least one.
        measured: one summary for each repeat, at least one, over the same replications.
        perfect: of the runs that `ideal_run` makes of one repeat.
    """
    orders = sorted({w.boot_order for summary in (*predicted, *measured) for w in summary.workers})
    return Comparison(
        experiment=measured[0].experiment,
        predicted_gunicorn=predicted[0].gunicorn,
        measured_gunicorn=measured[0].gunicorn,
        repeats=len(measured),
        variants=len(predicted),
        figures=figures_of(
            [values_of(summary, orders) for summary in predicted],
            [values_of(summary, orders) for summary in measured],
            values_of(perfect, ()),
        ),
        predicted_outcomes=_outcomes(predicted),
        measured_outcomes=_outcomes(measured),
        recovery=pair_recoveries(
            combined([summary.recovery for summary in predicted]),
            combined([summary.recovery for summary in measured]),
        ),
        losses=pair_losses(
            combined_losses([summary.losses or () for summary in predicted]),
            combined_losses([summary.losses or () for summary in measured]),
        ),
        timeline=pair_events(predicted[0].events, measured[0].events),
        overload=measured[0].load.reasons,
    )


def values_of(summary: Summary, orders: Iterable[int]) -> dict[str, float | None]:
    """The value of each figure in one variant or repeat, by `Figure.name`.

    Args:
        summary: of the variant or repeat.
        orders: boot orders of the workers whose shares are wanted.
    """
    values: dict[str, float | None] = {}
    for time, times in (("latency", summary.latency), ("wait", summary.wait)):
        for measure in MEASURES[time]:
            values[f"{time}_{measure}"] = None if times is None else getattr(times, measure).value
    values["throughput"] = None if summary.throughput is None else summary.throughput.value
    values["utilization"] = None if summary.utilization is None else summary.utilization.value
    if summary.throttling is not None:
        values["throttled"] = summary.throttling.share.value
    for route in summary.routes:
        for time, times in (("latency", route.latency), ("wait", route.wait)):
            for measure in OF_ROUTES[time]:
                value = None if times is None else getattr(times, measure).value
                values[f"{route.name} {time}_{measure}"] = value
        values[f"{route.name} lost"] = None if route.lost is None else route.lost.value
    shares = {w.boot_order: w.share.value for w in summary.workers if w.share is not None}
    for order in orders:
        # A worker that only other repeats have (it replaced one there) did nothing in this.
        values[_share(order)] = shares.get(order, 0.0) if shares else None
    return values


def figures_of(
    predictions: Sequence[Values], measurements: Sequence[Values], perfect: Values
) -> tuple[Figure, ...]:
    """Set the values of variants beside those of repeats, and of an ideal queue.

    Args:
        predictions: of each variant, at least one.
        measurements: of each repeat, at least one, with the same names.
        perfect: what the ideal queue has of them.
    """
    return tuple(
        _figure(
            name,
            # Of a route, its name and a blank are before the figure's.
            _UNITS.get(name.rpartition(" ")[2], "share"),
            [values[name] for values in predictions],
            [values[name] for values in measurements],
            perfect.get(name),
        )
        for name in measurements[0]
    )


def judge(error: float | None, p_value: float, least_p_value: float) -> Verdict:
    """The verdict on one figure: the first of these that holds.

    ``within 5 %``
        the error is 5 % at most; of a share, 5 of its 100 points.
    ``within 10 %``
        the same with 10.
    ``within scatter``
        the repeats could be draws of the predicted distribution, apart from `ERROR` or
        `SHARE_ERROR`: a rank-sum test that could reject this does not. It rejects a true
        hypothesis in `FALSE_ALARM` of all cases at most.
    ``off``
        none of these; also where the repeats and variants are too few for the test.

    Args:
        error: as in `Figure.error`; None where the measurement is 0 and the prediction is not.
        p_value: as in `Figure.p_value`.
        least_p_value: as in `Figure.least_p_value`.
    """
    # A rounding error in the last bit is not what 5 % is about.
    if error is not None and abs(error) <= 0.05 + 1e-12:
        return "within 5 %"
    if error is not None and abs(error) <= 0.10 + 1e-12:
        return "within 10 %"
    if least_p_value < FALSE_ALARM <= p_value:
        return "within scatter"
    return "off"


def ideal_run(run: Run) -> Run:
    """What one ideal shared queue (`sim.analysis.ideal`) makes of a run's requests, as a run.

    All its threads count as those of one worker, number 1.
    """
    rows = run.requests
    server = run.experiment["server"]
    perfect = ideal(rows, int(server["workers"]) * slots(server))
    started = array("d", map(sum, zip(rows.arrival, perfect.wait, strict=True)))
    finished = array("d", map(sum, zip(rows.arrival, perfect.latency, strict=True)))
    ones = array("i", [1]) * len(rows)
    none = array("i", [0]) * len(rows)
    ok = array("b", [OK]) * len(rows)
    answered = Requests(
        *(rows.arrival, started, started, finished, ones, none, ok, rows.io, rows.cpu),
        routes=rows.routes,
        route=rows.route,
    )
    return Run("sim", run.experiment, run.replication, answered, gunicorn=run.gunicorn)


def document(comparison: Comparison, notices: Iterable[str] = ()) -> dict[str, Any]:
    """The comparison as the JSON document that ``--json`` prints, ready for `json.dumps`.

    Its schema, with a description of every key, is ``sim/reports/schema/comparison.schema.json``.
    Every number is finite; what is not known is null.

    Args:
        comparison: what to write.
        notices: sentences about the experiment; reasons of an overload are put before them.
    """
    return {
        "schema": SCHEMA,
        "gunicorn": {
            "predicted": comparison.predicted_gunicorn,
            "measured": comparison.measured_gunicorn,
        },
        "experiment": comparison.experiment,
        "repeats": comparison.repeats,
        "variants": comparison.variants,
        "figures": [asdict(figure) for figure in comparison.figures],
        "outcomes": {
            "predicted": comparison.predicted_outcomes,
            "measured": comparison.measured_outcomes,
        },
        "recovery": [asdict(row) for row in comparison.recovery],
        "losses": [asdict(row) for row in comparison.losses],
        "timeline": [asdict(event) for event in comparison.timeline],
        "notices": [*comparison.overload, *notices],
    }


#: Every figure but the workers' shares, in order.
_UNITS: Mapping[str, Unit] = {
    **{f"{time}_{measure}": "s" for time, measures in MEASURES.items() for measure in measures},
    "throughput": "1/s",
    "utilization": "ratio",
    "lost": "ratio",
    "throttled": "ratio",
}


def _share(boot_order: int) -> str:
    return f"share_worker_{boot_order}"


def _figure(
    name: str,
    unit: Unit,
    predictions: Sequence[float | None],
    measurements: Sequence[float | None],
    perfect: float | None,
) -> Figure:
    predicted_each = sorted(value for value in predictions if value is not None)
    measured_each = [value for value in measurements if value is not None]
    predicted, measured = _mean(predicted_each), _mean(measured_each)
    several = len(predicted_each) > 1
    span = max(measured_each) - min(measured_each) if len(measured_each) > 1 else None
    error = _error(predicted, measured, unit)
    verdict = by_rank = least = None
    if predicted is not None and measured is not None:
        tolerance = SHARE_ERROR if unit == "share" else ERROR * abs(median(predicted_each))
        by_rank = p_value(measured_each, predicted_each, tolerance)
        least = least_p_value(len(measured_each), len(predicted_each))
        verdict = judge(error, by_rank, least)
    return Figure(
        name=name,
        unit=unit,
        predicted=predicted,
        measured=measured,
        error=error,
        spread=None if span is None else _relative(span, measured, unit),
        predicted_low=quantile(predicted_each, LOW) if several else None,
        predicted_high=quantile(predicted_each, HIGH) if several else None,
        ideal=perfect,
        ideal_error=_error(perfect, measured, unit),
        p_value=by_rank,
        least_p_value=least,
        verdict=verdict,
    )


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _error(value: float | None, measured: float | None, unit: Unit) -> float | None:
    if value is None or measured is None:
        return None
    return _relative(value - measured, measured, unit)


def _relative(difference: float, measured: float | None, unit: Unit) -> float | None:
    if unit == "share" or difference == 0:
        return difference
    return difference / measured if measured else None


def _outcomes(summaries: Sequence[Summary]) -> dict[str, float]:
    return {
        outcome: sum(summary.outcomes[outcome] for summary in summaries) / len(summaries)
        for outcome in OUTCOMES
    }
