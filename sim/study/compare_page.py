"""The page of `compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sim.experiment import Experiment
from sim.reports.html.page import Cell, Figure, Key, Number, Page, Rows, Section, Table
from sim.study.compare import Contrast
from sim.study.compare_report import (
    FINDINGS,
    TROUBLES,
    about_troubles,
    busiest,
    conditions,
    cost_cells,
    cost_heads,
    sentence,
)
from sim.study.formatting import heading, value_of
from sim.study.observation import LATENCIES
from sim.study.study_page import PageNotices, dots, first_replication, interval_cell, value_cell
from sim.study.upgrade import Cost, Upgrade


def compare_page(
    names: Mapping[str, str],
    experiments: Mapping[str, Experiment],
    contrasts: Sequence[Contrast],
    replications: int,
    notices: Sequence[str],
    command: str,
    upgrade: Upgrade | None = None,
) -> Page:
    """The page of two servers that get the same requests.

    Args:
        names: of the two, by A and B.
        experiments: that were predicted, by the same.
        contrasts: every measure.
        replications: of each.
        notices: sentences about the experiments.
        command: that makes the page again.
        upgrade: what changes besides where they are two releases.
    """
    releases = {side: each.server.gunicorn for side, each in experiments.items()}
    grouped = PageNotices.of(notices)
    sections = [
        Section("measures", "Every measure, beside each other", _measures(contrasts)),
        *_of_upgrade(upgrade),
        *(
            first_replication(side.lower(), f"{side}: {names[side]}", each)
            for side, each in experiments.items()
        ),
    ]
    return Page(
        title=f"Comparison: A is {names['A']}, B is {names['B']}",
        answer=(sentence(names, contrasts), _counted(contrasts)),
        conditions=f"{conditions(names, releases)}; {replications} replications, in each of which "
        "both get the same requests.",
        command=command,
        sections=tuple(section for section in sections if section is not None),
        assumptions=grouped.assumptions,
        notices=grouped.others,
    )


def _of_upgrade(upgrade: Upgrade | None) -> tuple[Section, ...]:
    """What changes besides between two releases."""
    if upgrade is None or not upgrade.troubled:
        return ()
    rows = tuple(
        (
            TROUBLES[one.name],
            *(
                cell
                for both in zip(_cost(one.a, one.name), _cost(one.b, one.name), strict=True)
                for cell in both
            ),
        )
        for one in upgrade.troubled
    )
    shares = busiest(upgrade)
    blocks = (
        *(() if shares is None else (shares,)),
        about_troubles(upgrade),
        Table("What each trouble costs", ("", *cost_heads()), rows),
    )
    return (Section("troubles", "When something goes wrong", blocks),)


def _cost(cost: Cost, trouble: str) -> tuple[Cell, Cell, Cell]:
    lost, late, back = cost_cells(cost, trouble)
    return (
        Number(cost.lost.value, lost),
        Number(None if cost.late is None else cost.late.value, late),
        back if cost.restored is None else Number(cost.restored, back),
    )


def _counted(contrasts: Sequence[Contrast]) -> str:
    findings = [one.finding for one in contrasts]
    return (
        f"Of {len(contrasts)} measures, B is lower in {findings.count('lower')} and higher in "
        f"{findings.count('higher')}, to 95 %."
    )


def _measures(contrasts: Sequence[Contrast]) -> tuple[Figure | Table, ...]:
    table = Table(
        "Measures",
        ("", "A", "B", "B - A", "95 % interval", ""),
        tuple(map(_row, contrasts)),
        text_columns=frozenset({5}),
        strong=frozenset(place for place, one in enumerate(contrasts) if one.decisive),
    )
    charted = [
        one
        for one in contrasts
        if one.measure in LATENCIES and one.measure != "max" and (one.a or one.b)
    ]
    if not charted:
        return (table,)
    keys = (
        Key("dot", "predicted", "A, with its 95 % interval"),
        Key("dot", "measured", "B"),
    )
    measures = [one.measure for one in charted]
    figure = Figure(
        "sides",
        "Latency of both",
        " ".join(
            f"{one.measure}: A {value_of(one.a, one.measure)}, B {value_of(one.b, one.measure)} ms."
            for one in charted
        ),
        keys,
        Rows(
            tuple(measures),
            (
                dots(keys[0], measures, [one.a for one in charted]),
                dots(keys[1], measures, [one.b for one in charted]),
            ),
            "latency (ms)",
        ),
    )
    return (figure, table)


def _row(one: Contrast) -> tuple[Cell, ...]:
    return (
        heading(one.measure),
        value_cell(one.a, one.measure),
        value_cell(one.b, one.measure),
        value_cell(one.less, one.measure),
        interval_cell(one.less, one.measure),
        FINDINGS[one.finding],
    )
