"""The page of `size`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sim.reports.html.page import (
    Block,
    Card,
    Cell,
    Figure,
    Key,
    Number,
    Page,
    Rows,
    Section,
    Table,
)
from sim.study.formatting import NONE, configuration, megabytes, percent, value_of
from sim.study.observation import difference, estimate
from sim.study.sizing import Answer, Choice
from sim.study.sizing_report import (
    DECISIONS,
    binding,
    choices_of,
    conditions,
    death_sentence,
    effort,
    headline,
    headroom_sentence,
)
from sim.study.study_page import (
    PageNotices,
    dots,
    first_replication,
    headroom_blocks,
    interval_cell,
    value_cell,
)


def sizing_page(answer: Answer, notices: Sequence[str], command: str) -> Page:
    """The page of an answer.

    Args:
        answer: to the question.
        notices: sentences about the experiment.
        command: that makes the page again.
    """
    question, grouped, best = answer.question, PageNotices.of(notices), answer.best
    sections = [
        _choices(answer),
        _help(answer),
        _headroom(answer),
        _deaths(answer),
    ]
    choice = best or answer.closest
    if choice is not None and not choice.judged.overload:
        experiment = replace(question.base, server=choice.candidate.server)
        what = "answer" if best is not None else "closest"
        heading = f"The {what}: {configuration(choice.judged.point)}"
        sections.append(first_replication(what, heading, experiment))
    second = None if answer.headroom is None else headroom_sentence(answer.headroom)
    return Page(
        title=f"Size: {' and '.join(map(str, question.objectives))}",
        answer=(headline(answer), *([] if second is None else [second])),
        conditions=conditions(question),
        command=command,
        cards=() if best is None else _cards(best),
        sections=tuple(section for section in sections if section is not None),
        assumptions=grouped.assumptions,
        overload=() if answer.closest is None else answer.closest.judged.overload,
        notices=grouped.others,
    )


def _cards(best: Choice) -> tuple[Card, ...]:
    values = dict(best.judged.point)
    settings = ("worker_class", "workers", "threads")
    cards = [Card(name, Number(None, str(values[name]))) for name in settings]
    if best.candidate.memory is not None:
        memory = Number(best.candidate.memory, f"{megabytes(best.candidate.memory)} MB")
        cards.append(Card("memory", memory))
    cards.append(Card("sure", Number(None, percent(best.judged.verdict.confidence))))
    return tuple(cards)


def _choices(answer: Answer) -> Section | None:
    """The answer beside its neighbours: smaller ones, larger ones, what there is now."""
    rows = choices_of(answer)
    if not rows:
        return None
    objective = answer.question.objectives[0]
    measure = objective.measure
    table = Table(
        f"Configurations, {measure} in {'%' if objective.is_lost else 'ms'}",
        ("", "configuration", measure, "95 %", "to the answer", "95 %", "sure", "MB", ""),
        tuple(_row(answer, what, choice) for what, choice in rows),
        text_columns=frozenset({1, 8}),
        strong=frozenset(place for place, (_, choice) in enumerate(rows) if choice is answer.best),
    )
    known = [
        (what, choice.judged.point, value)
        for what, choice in rows
        if (value := estimate(choice.judged.observations, measure)) is not None
    ]
    blocks: list[Block] = [table, effort(answer)]
    if known:
        key = Key("dot", "predicted", f"{measure}, with its 95 % interval")
        limit = Key("dotted", "lost", f"limit: {objective}")
        unit = "%" if objective.is_lost else "ms"
        scale = 100.0 if objective.is_lost else 1000.0
        figure = Figure(
            "choices",
            f"{measure} of the answer and its neighbours",
            " ".join(
                f"{label}, {configuration(point)}: {value_of(value, measure)} {unit}."
                for label, point, value in known
            ),
            (key, limit),
            Rows(
                tuple(label for label, _, _ in known),
                (dots(key, [measure] * len(known), [value for _, _, value in known]),),
                f"{measure} ({unit})",
                (scale * objective.limit, str(objective)),
            ),
        )
        blocks.insert(0, figure)
    return Section("choices", "The answer and its neighbours", tuple(blocks))


def _row(answer: Answer, what: str, choice: Choice) -> tuple[Cell, ...]:
    one, measure = choice.judged, answer.question.objectives[0].measure
    less = None
    if answer.best is not None and choice is not answer.best:
        less = difference(one.observations, answer.best.judged.observations, measure)
    measured = estimate(one.observations, measure)
    memory = choice.candidate.memory
    return (
        what,
        configuration(one.point),
        value_cell(measured, measure),
        interval_cell(measured, measure),
        "" if less is None else value_cell(less, measure),
        "" if less is None else interval_cell(less, measure),
        percent(one.verdict.confidence),
        NONE if memory is None else Number(memory, megabytes(memory)),
        "overloaded" if one.overload else DECISIONS[one.verdict.decision],
    )


def _help(answer: Answer) -> Section | None:
    """Where nothing meets: which limit it is that binds."""
    if not answer.what_ifs:
        return None
    return Section("help", "What would help", (binding(answer.what_ifs),))


def _headroom(answer: Answer) -> Section | None:
    if answer.headroom is None:
        return None
    blocks = headroom_blocks(answer.headroom, answer.question.objectives[0])
    return Section("headroom", "Headroom", (headroom_sentence(answer.headroom), *blocks))


def _deaths(answer: Answer) -> Section | None:
    """Recovery of the answer and of larger ones, when a worker is killed."""
    sentences = tuple(
        death_sentence(choice)
        for choice in (answer.best, *answer.alternatives)
        if choice is not None and choice.death is not None
    )
    if not sentences:
        return None
    return Section("recovery", "Recovery, when a worker is killed", (sentences,))
