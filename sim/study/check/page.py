"""The page of `check`."""

from __future__ import annotations

from collections.abc import Sequence

from sim.reports.html.page import Block, Figure, Key, Page, Rows, Section, Table
from sim.study.check.finding import Finding
from sim.study.check.linting import Linting, p99_limit
from sim.study.check.report import headroom_sentence, summary
from sim.study.formatting import heading, traffic, value_of
from sim.study.headroom import Headroom
from sim.study.objective import Objective
from sim.study.observation import UNITS, Observation
from sim.study.study_page import (
    PageNotices,
    dots,
    first_replication,
    headroom_blocks,
    interval_cell,
    value_cell,
)


def check_page(
    lint: Linting,
    findings: Sequence[Finding],
    room: Headroom | None,
    today: Sequence[Observation],
    notices: Sequence[str],
    command: str,
) -> Page:
    """The page of a configuration.

    Args:
        lint: what was checked.
        findings: the findings, the worst first.
        room: how much more traffic the service takes, where that is known.
        today: replications of the service as it is.
        notices: sentences about the experiment.
        command: that makes the page again.
    """
    experiment, grouped = lint.subject.experiment, PageNotices.of(notices)
    sections = [_section(number, finding) for number, finding in enumerate(findings, start=1)]
    if room is not None:
        blocks = headroom_blocks(room, Objective("p99", p99_limit(today)))
        sections.append(Section("headroom", "Headroom", (headroom_sentence(room), *blocks)))
    alone = first_replication("service", "The service as it is", experiment)
    worst = [f"{finding.what} Set: {finding.mend}" for finding in findings[:1] if finding.mend]
    second = worst or ([] if room is None else [headroom_sentence(room)])
    return Page(
        title=f"Check: Gunicorn {experiment.server.gunicorn}, {summary(findings)[:-1].lower()}",
        answer=(summary(findings), *second),
        conditions=f"Gunicorn {experiment.server.gunicorn}; {traffic(experiment)}; "
        f"{lint.replications} replications of each prediction.",
        command=command,
        sections=(*sections, *([] if alone is None else [alone])),
        assumptions=grouped.assumptions,
        notices=grouped.others,
    )


def _section(number: int, finding: Finding) -> Section:
    """What a finding says, and the measures that it rests on, as they are and mended."""
    blocks: list[Block] = [finding.what]
    if finding.effect:
        blocks.append(finding.effect)
    lines = [f"Set: {finding.mend}"] if finding.mend else []
    lines += [f"Releases of Gunicorn: {finding.releases}."]
    lines += [f"Evidence: {finding.page}, rule {finding.rule}."]
    blocks.append(tuple(lines))
    blocks += _measures(f"finding-{number}", finding)
    return Section(
        f"finding-{number}", f"{finding.level.capitalize()}: {finding.setting}", tuple(blocks)
    )


def _measures(name: str, finding: Finding) -> list[Block]:
    if not finding.contrasts:
        return []
    mended = any(one.b is not None for one in finding.contrasts)
    table = Table(
        f"Measures, {finding.replications} replications",
        ("", "as it is", "mended", "difference", "95 % interval"),
        tuple(
            (
                heading(one.measure),
                value_cell(one.a, one.measure),
                value_cell(one.b, one.measure),
                value_cell(one.less, one.measure),
                interval_cell(one.less, one.measure),
            )
            for one in finding.contrasts
        ),
    )
    times = [one for one in finding.contrasts if UNITS[one.measure] == "s" and (one.a or one.b)]
    if not times or not mended:
        return [table]
    keys = (Key("dot", "measured", "as it is"), Key("dot", "predicted", "mended"))
    measures = [one.measure for one in times]
    figure = Figure(
        f"{name}-measures",
        "As it is, and mended",
        " ".join(
            f"{heading(one.measure)}: as it is {value_of(one.a, one.measure)}, mended "
            f"{value_of(one.b, one.measure)}."
            for one in times
        ),
        keys,
        Rows(
            tuple(heading(measure).removesuffix(", ms") for measure in measures),
            (
                dots(keys[0], measures, [one.a for one in times]),
                dots(keys[1], measures, [one.b for one in times]),
            ),
            "ms",
        ),
    )
    return [figure, table]
