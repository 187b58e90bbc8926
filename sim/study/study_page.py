"""What the pages of studies share: cells, charts of measures, and the first replication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.analysis.course import course_of
from sim.analysis.estimate import Estimate
from sim.analysis.latency_curve import curve_of
from sim.analysis.summary import summarize
from sim.experiment import Experiment
from sim.experiment.notice import Assumption
from sim.model.simulation import predict
from sim.reports.html.numbers import NONE, UNKNOWN
from sim.reports.html.page import (
    Block,
    Cell,
    Curves,
    Figure,
    Key,
    Number,
    Section,
    Series,
    Table,
)
from sim.reports.html.summary_page import ON_TOP, course_figure, latency_figure, parts_figure
from sim.reports.output import LONG
from sim.study.compile_hint import requests_of
from sim.study.formatting import SCALE, half_width_of, heading, number, traffic, value_of
from sim.study.headroom import Headroom
from sim.study.objective import Objective
from sim.study.observation import estimate, unit_of

#: What each load is called, with its unit.
LOADS = {"rate": "requests/s", "users": "users", "pace": "times the pace of the trace"}

#: What each decision says of a load.
DECISIONS = {"meets": "meets", "fails": "misses", "close": "too close to call", None: "undecided"}


@dataclass(frozen=True, slots=True)
class PageNotices:
    """The notices of a result, as a page has them."""

    assumptions: tuple[str, ...]
    others: tuple[str, ...]

    @classmethod
    def of(cls, notices: Sequence[str]) -> PageNotices:
        """The assumptions, and what is said besides."""
        return cls(
            tuple(each for each in notices if isinstance(each, Assumption)),
            tuple(each for each in notices if not isinstance(each, Assumption)),
        )


def value_cell(value: Estimate | None, measure: str) -> Number:
    """The value of an estimate, in the unit of `sim.study.formatting.heading`."""
    return UNKNOWN if value is None else Number(value.value, number(value.value, measure))


def interval_cell(value: Estimate | None, measure: str) -> Cell:
    """The ends of its 95 % interval, in the same unit."""
    if value is None or value.low is None or value.high is None:
        return NONE
    low, high = (Number(end, number(end, measure)) for end in (value.low, value.high))
    return (low, " to ", high)


def dots(key: Key, measures: Sequence[str], values: Sequence[Estimate | None]) -> Series:
    """A dot with its interval for each value that is known, a row each."""
    known = [
        (place, SCALE[unit_of(measure)], value)
        for place, (measure, value) in enumerate(zip(measures, values, strict=True))
        if value is not None
    ]
    return Series(
        key,
        tuple(scale * value.value for _, scale, value in known),
        tuple(float(place) for place, _, _ in known),
        tuple(max(0.0, scale * _end(value.low, value)) for _, scale, value in known),
        tuple(scale * _end(value.high, value) for _, scale, value in known),
    )


def _end(end: float | None, value: Estimate) -> float:
    return value.value if end is None else end


def first_replication(name: str, heading: str, experiment: Experiment) -> Section | None:
    """The first replication once more: it is the same run, and a study keeps numbers only.

    None of an experiment with too many requests to keep.
    """
    if requests_of((experiment,), 1) > LONG:
        return None
    run = predict(experiment)
    summary = summarize([run])
    blocks: list[Block] = [
        f"One replication of {traffic(experiment)}. The other numbers are means over all of them."
    ]
    if summary.latency is not None:
        curve = curve_of(run)
        blocks.append(latency_figure(f"{name}-latency", summary, curve, tabled=True))
    parts = parts_figure(f"{name}-parts", summary)
    if parts is not None:
        blocks.append(parts)
    course = course_of(run)
    if course is not None:
        blocks += [course_figure(f"{name}-course", summary, course), ON_TOP]
    return Section(name, heading, tuple(blocks)) if len(blocks) > 1 else None


def headroom_blocks(room: Headroom, objective: Objective) -> tuple[Block, ...]:
    """A measure over the loads that were tried, and its limit."""
    tried = [
        (load, value, one)
        for load, one in room.judgements
        if (value := estimate(one.observations, objective.measure)) is not None
    ]
    table = Table(
        "Loads that were tried",
        (LOADS[room.load], heading(objective.measure), "± 95 %", "replications", ""),
        tuple(
            (
                f"{load:g}",
                value_of(value, objective.measure),
                half_width_of(value, objective.measure),
                f"{one.verdict.replications}",
                DECISIONS[one.verdict.decision],
            )
            for load, value, one in tried
        ),
        text_columns=frozenset({4}),
    )
    if not tried:
        return ()
    scale = SCALE[unit_of(objective.measure)]
    key = Key("dot", "predicted", f"{objective.measure}, with its 95 % interval")
    limit = Key("dotted", "lost", f"limit: {objective}")
    figure = Figure(
        "headroom-loads",
        f"{objective.measure} at higher loads",
        " ".join(
            f"At {load:g} {LOADS[room.load]}: {number(value.value, objective.measure)}, "
            f"{DECISIONS[one.verdict.decision]}."
            for load, value, one in tried
        ),
        (key, limit),
        Curves(
            (
                Series(
                    key,
                    tuple(load for load, _, _ in tried),
                    tuple(scale * value.value for _, value, _ in tried),
                    tuple(max(0.0, scale * _end(value.low, value)) for _, value, _ in tried),
                    tuple(scale * _end(value.high, value) for _, value, _ in tried),
                ),
            ),
            LOADS[room.load],
            f"{objective.measure} ({'%' if objective.is_lost else 'ms'})",
            limit=(scale * objective.limit, str(objective)),
            log_y=max(value.value for _, value, _ in tried)
            > 20 * min(value.value for _, value, _ in tried),
        ),
        table,
    )
    return (figure,)
