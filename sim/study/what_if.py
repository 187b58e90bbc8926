"""Where no configuration meets the objectives: which limit it is that binds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sim.experiment import MAX_THREADS, MAX_WORKERS
from sim.experiment.worker_class import TRAITS
from sim.study.parameter import Point, Value
from sim.study.question import Judged, Question, judged
from sim.study.trial import Known

Limit = Literal["cores", "cpu_limit", "workers", "memory", "threads"]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The closest configuration with limits moved.

    Attributes:
        limits: which ones.
        judged: how it does there.
    """

    limits: tuple[Limit, ...]
    judged: Judged


def what_ifs(question: Question, closest: Point, known: Known) -> list[WhatIf]:
    """How the closest configuration does with twice as much of what each limit keeps from it.

    Only where no limit alone decides, cores are moved together with each of the others.
    """
    alone = _moves(question, closest)
    moved = [_what_if(question, closest, (limit,), alone[limit], known) for limit in alone]
    if any(what.judged.verdict.decision in (None, "meets") for what in moved):
        return moved
    cores = alone.pop("cores")
    together = [
        _what_if(question, closest, ("cores", limit), {**cores, **move}, known)
        for limit, move in alone.items()
    ]
    return [*moved, *together]


def _moves(question: Question, closest: Point) -> dict[Limit, Mapping[str, Value]]:
    """What each limit keeps from the closest configuration."""
    values, limits = dict(closest), question.limits
    workers, threads = 2 * int(values["workers"]), 2 * int(values["threads"])
    moves: dict[Limit, Mapping[str, Value]] = {"cores": {"cores": 2 * limits.cores}}
    cpu_limit = question.base.host.cpu_limit
    if cpu_limit is not None:
        moves["cpu_limit"] = {"cpu_limit": 2 * cpu_limit}
    if limits.workers < workers <= MAX_WORKERS:
        moves["workers"] = {"workers": workers}
    elif limits.memory is not None and workers not in {
        candidate.server.workers
        for candidate in question.candidates
        if candidate.server.threads == values["threads"]
    }:
        moves["memory"] = {"workers": workers}
    loop = TRAITS[str(values["worker_class"])].event_loop
    if not loop and limits.threads < threads <= MAX_THREADS:
        moves["threads"] = {"threads": threads, "worker_class": "gthread"}
    return moves


def _what_if(
    question: Question,
    closest: Point,
    limits: tuple[Limit, ...],
    move: Mapping[str, Value],
    known: Known,
) -> WhatIf:
    point = tuple({**dict(closest), **move}.items())
    return WhatIf(limits, judged(question, point, known))
