"""Verdicts on the rows of a validation: which targets the model reaches.

Where the server repeats a figure within `REPEATABLE`, the prediction must meet the targets below.
Elsewhere, the repeats are ranked among the variants of the prediction, and must not be further off
than draws of the same distribution are (`sim.validation.rank_sum`). The repeats are spread over the
whole time of the validation, for a machine changes meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from sim.validation.comparison import SHARE_ERROR, Figure, figures_of
from sim.validation.rank_sum import least_p_value, p_larger
from sim.validation.rows import Row

#: Spread under which the server counts as repeating a figure; of a share in absolute terms.
REPEATABLE = 0.05

#: Most that the median and the worst error of each of `TARGETED` may be.
MEDIAN, WORST = 0.05, 0.15
TARGETED = ("latency_mean", "latency_p50", "latency_p95")

#: Most that the shares of the requests may be off, absolute. Those of one cell are judged together,
#: for they add up to 1: by the worker that is furthest off, and the one that repeats least.
SHARE = 0.05

#: How often the rank-sum test may reject a figure for nothing. A validation of 64 cells judges 256
#: figures, so all of them together raise a false alarm in 1 of 20 validations at most (Bonferroni).
FALSE_ALARM = 1 / 5120

#: How many times closer than the ideal queue the mean latency of several gthread workers must be.
CLOSER = 10.0

#: Cores that may be busy with anything else while a cell is measured: beside 192 runs on a machine
#: that was left alone it was 0.02 at most.
QUIET = 0.05

#: Figures that reports show.
REPORTED = (*TARGETED, "latency_p99", "throughput")


@dataclass(frozen=True, slots=True)
class Off:
    """How far a figure of one cell is off.

    Attributes:
        name: of the figure; ``share`` for the shares of all workers.
        error: its size; of shares that of the worker that is furthest off, absolute.
        spread: of the repeats; of shares that of the worker that repeats least.
        p_value: of the repeats among the variants; see `sim.validation.rank_sum`. Of shares it is
            that of their distances from the usual; see `_share`.
        least_p_value: smallest that so many repeats and variants can have.
        ideal: size of the ideal queue's error; None for what it does not have.
    """

    name: str
    error: float
    spread: float
    p_value: float
    least_p_value: float
    ideal: float | None = None

    @property
    def repeated(self) -> bool:
        """Whether the server repeats the figure."""
        return self.spread < REPEATABLE

    @property
    def ranked(self) -> bool:
        """Whether the rank-sum test judges it: the server does not repeat it, and it can fail.

        With too few repeats or variants, scatter excuses nothing.
        """
        return not self.repeated and self.least_p_value < FALSE_ALARM

    def within(self, limit: float) -> bool:
        """Whether the error is within the limit, or within the scatter where the test judges."""
        return self.p_value >= FALSE_ALARM if self.ranked else self.error <= limit


@dataclass(frozen=True, slots=True)
class Result:
    """One cell, predicted and measured.

    Attributes:
        cell: its number.
        name: of the cell.
        figures: those of `sim.validation.comparison` that are known on both sides.
        share: how far the shares of all workers are off; None with one worker, or where they are
            not known.
        gthread_workers: workers, if they are of ``gthread``; else 0.
        others: cores that were busy with anything else in the repeat with the most of that.
        repeats: how often it was measured.
    """

    cell: int
    name: str
    figures: tuple[Figure, ...]
    share: Off | None
    gthread_workers: int
    others: float
    repeats: int

    @classmethod
    def of(cls, row: Row) -> Result:
        """What a row comes to."""
        first = row.measurements[0]
        server = first.experiment["server"]
        figures = figures_of(row.variants, row.repeats, first.ideal)
        known = tuple(f for f in figures if f.error is not None and f.spread is not None)
        return cls(
            row.cell,
            row.name,
            known,
            _share(row, [figure for figure in known if figure.unit == "share"]),
            int(server["workers"]) if server["worker_class"] == "gthread" else 0,
            max(measurement.others for measurement in row.measurements),
            len(row.measurements),
        )

    def figure(self, name: str) -> Figure | None:
        """The figure of that name, if it is known."""
        return next((figure for figure in self.figures if figure.name == name), None)

    def off(self, name: str) -> Off | None:
        """How far the figure of that name is off, if it is known."""
        figure = self.figure(name)
        if figure is None or figure.error is None or figure.spread is None:
            return None
        assert figure.p_value is not None, "both sides are known"
        assert figure.least_p_value is not None, "both sides are known"
        ideal = None if figure.ideal_error is None else abs(figure.ideal_error)
        error, spread = abs(figure.error), figure.spread
        return Off(name, error, spread, figure.p_value, figure.least_p_value, ideal)

    @property
    def spread(self) -> float:
        """The largest spread of the figures in `TARGETED`."""
        return max((off.spread for off in map(self.off, TARGETED) if off is not None), default=0.0)

    @property
    def noisy(self) -> bool:
        """Whether the server does not repeat one of them."""
        return self.spread >= REPEATABLE

    @property
    def scatters(self) -> bool:
        """Whether the server does not repeat one of them, or who served how much."""
        return self.noisy or (self.share is not None and not self.share.repeated)

    @property
    def disturbed(self) -> bool:
        """Whether something else took part of the machine that was measured."""
        return self.others > QUIET

    @property
    def misses(self) -> list[Off]:
        """Figures in `TARGETED`, and the shares, that are further off than they may be."""
        limits = [(self.off(name), WORST) for name in TARGETED] + [(self.share, SHARE)]
        return [off for off, limit in limits if off is not None and not off.within(limit)]


def _share(row: Row, figures: Sequence[Figure]) -> Off | None:
    """How far the shares of all workers are off, judged together.

    The distance of a run is that of the worker that is furthest from its median share in all runs
    of both sides. Distances of the repeats, less the tolerance, are ranked among those of the
    variants: too far is an alarm, too near is not.
    """
    if len(figures) < 2:
        return None
    names = [figure.name for figure in figures]
    repeats, variants = (
        [
            [value for name in names if (value := run[name]) is not None]
            for run in runs
            if all(run[name] is not None for name in names)
        ]
        for runs in (row.repeats, row.variants)
    )
    usual: list[float] = [median(shares) for shares in zip(*repeats, *variants, strict=True)]

    def distance(shares: Sequence[float]) -> float:
        return max(abs(share - middle) for share, middle in zip(shares, usual, strict=True))

    return Off(
        "share",
        max(abs(figure.error) for figure in figures if figure.error is not None),
        max(figure.spread for figure in figures if figure.spread is not None),
        p_larger([distance(each) - SHARE_ERROR for each in repeats], list(map(distance, variants))),
        least_p_value(len(repeats), len(variants)) / 2,
    )


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure over all cells.

    Attributes:
        name: of the figure; ``share`` for the shares of all workers.
        repeated: how often the server repeats it.
        median: size of the error over those; None without any.
        worst: the largest one over those; None without any.
        worst_cell: number of the cell that has it; None without any.
        noisy: how often the server does not repeat it.
        within_scatter: how many of those are within what they may be; see `Off.within`.
        ideal: median size of the ideal queue's error over the repeated ones; None without any.
    """

    name: str
    repeated: int
    median: float | None
    worst: float | None
    worst_cell: int | None
    noisy: int
    within_scatter: int
    ideal: float | None


@dataclass(frozen=True, slots=True)
class Target:
    """Something that the model must reach.

    Attributes:
        text: the target, as a sentence.
        reached: whether it is; None where no cell tells.
    """

    text: str
    reached: bool | None


@dataclass(frozen=True, slots=True)
class Validation:
    """What the rows say.

    Attributes:
        results: the cells, by number.
        measures: the figures in `REPORTED`, and the shares.
        closer: median error of the ideal queue's mean latency / median error of the prediction's,
            over the cells with several gthread workers; None without any.
        targets: what must be reached.
    """

    results: tuple[Result, ...]
    measures: tuple[Measure, ...]
    closer: float | None
    targets: tuple[Target, ...]

    @property
    def reached(self) -> bool:
        """Whether no target is missed."""
        return all(target.reached is not False for target in self.targets)

    @property
    def measurements(self) -> str:
        """How often the cells were measured, in words."""
        cells = sorted(Counter(result.repeats for result in self.results).items())
        return " or ".join(f"{times} times ({number} cells)" for times, number in cells)


def validation(rows: Iterable[Row]) -> Validation:
    """Judge the rows; see this module."""
    results = tuple(sorted(map(Result.of, rows), key=lambda result: result.cell))
    measures = [_measure(name, [(r.cell, r.off(name)) for r in results]) for name in REPORTED]
    shares = _measure("share", [(r.cell, r.share) for r in results])
    closer = _closer(results)
    targets = [
        target for measure in measures if measure.name in TARGETED for target in _of(measure)
    ]
    targets.append(Target(f"worst error of a share <= {SHARE:g}", _at_most(shares.worst, SHARE)))
    targets.append(_scatter_target((*(m for m in measures if m.name in TARGETED), shares)))
    reached = None if closer is None else closer >= CLOSER
    targets.append(Target(f"{CLOSER:g} times closer than the ideal queue", reached))
    return Validation(results, (*measures, shares), closer, tuple(targets))


def _measure(name: str, cells: Iterable[tuple[int, Off | None]]) -> Measure:
    known = [(cell, off) for cell, off in cells if off is not None]
    repeated = [(off.error, cell) for cell, off in known if off.repeated]
    noisy = [off for _, off in known if not off.repeated]
    ideals = [off.ideal for _, off in known if off.repeated and off.ideal is not None]
    worst, worst_cell = max(repeated, default=(None, None))
    return Measure(
        name,
        repeated=len(repeated),
        median=median(error for error, _ in repeated) if repeated else None,
        worst=worst,
        worst_cell=worst_cell,
        noisy=len(noisy),
        within_scatter=sum(off.within(SHARE if name == "share" else WORST) for off in noisy),
        ideal=median(ideals) if ideals else None,
    )


def _of(measure: Measure) -> tuple[Target, Target]:
    what = measure.name.removeprefix("latency_")
    return (
        Target(f"median error of {what} <= {MEDIAN:.0%}", _at_most(measure.median, MEDIAN)),
        Target(f"worst error of {what} <= {WORST:.0%}", _at_most(measure.worst, WORST)),
    )


def _scatter_target(measures: Iterable[Measure]) -> Target:
    judged = [measure for measure in measures if measure.noisy]
    within = all(each.within_scatter == each.noisy for each in judged) if judged else None
    return Target("what the server does not repeat is within the predicted scatter", within)


def _at_most(value: float | None, limit: float) -> bool | None:
    return None if value is None else value <= limit


def _closer(results: Iterable[Result]) -> float | None:
    means = [off for r in results if r.gthread_workers > 1 and (off := r.off("latency_mean"))]
    errors = [off.error for off in means]
    ideals = [off.ideal for off in means if off.ideal is not None]
    if not errors or not ideals or median(errors) == 0:
        return None
    return median(ideals) / median(errors)
