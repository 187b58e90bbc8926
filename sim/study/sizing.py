"""Which configuration to take: the smallest that meets its objectives, and what to know of it.

::

    candidates, by size ──► the smallest that meets ─┬─► headroom: the rate at which it breaks
                │                                    ├─► a worker dies
                │                                    └─► the smallest with more workers, the same
                └─ none meets ──► the closest ──► what if a limit were twice as high

Pure: `plan` gives the next trials and `conclude` the answer, both from the question and the
observations so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from sim.experiment import Server
from sim.study.candidates import Candidate
from sim.study.death import Death, death, death_trials
from sim.study.headroom import Headroom, headroom
from sim.study.question import Judged, Question, excess, judged, trials
from sim.study.trial import Known, Trial
from sim.study.what_if import WhatIf, what_ifs

#: Candidates that are tried side by side, so that many processors have work. It decides how much
#: is tried beyond the answer, and must not depend on how many there are: the answer would.
WINDOW = 8

#: Larger numbers of workers of which the smallest that meets is looked for too.
ALTERNATIVES = 2

#: Smaller configurations that do not meet, of which the answer tells.
MISSES = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """A configuration of which an answer tells.

    Attributes:
        candidate: which.
        judged: how it does.
        death: recovery after a worker is killed; None if not tried.
    """

    candidate: Candidate
    judged: Judged
    death: Death | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question, as far as it is known.

    Attributes:
        question: what was asked.
        complete: whether nothing is left to try.
        best: the smallest that meets the objectives; None where none does, or none is known yet.
            As long as smaller ones are undecided, it is the smallest so far.
        alternatives: the smallest that meets with more workers, for the next few numbers of
            workers that have one.
        misses: smaller ones that do not meet, or cannot be told, the closest first.
        present: the configuration that there is now.
        closest: what comes closest where nothing meets.
        headroom: of ``best``.
        what_ifs: for ``closest``.
        tried: number of candidates with any replication, up to ``best``.
        overloaded: number of candidates that were not tried because they cannot keep up.
    """

    question: Question
    complete: bool
    best: Choice | None
    alternatives: tuple[Choice, ...]
    misses: tuple[Choice, ...]
    present: Choice | None
    closest: Choice | None
    headroom: Headroom | None
    what_ifs: tuple[WhatIf, ...]
    tried: int
    overloaded: int


@dataclass(frozen=True, slots=True)
class _Search:
    """How far the search among candidates is.

    Attributes:
        best: the first that meets, as far as is known.
        undecided: of those before it, the first few.
    """

    best: Choice | None
    undecided: tuple[Judged, ...]


def plan(question: Question, known: Known) -> list[Trial]:
    """What is to be tried next; nothing once the question is answered."""
    if question.floored:
        return []
    search = _search(question, question.candidates, known)
    if search.undecided:
        return trials(search.undecided)
    aside = [] if question.present is None else [judged(question, question.present.point, known)]
    if search.best is None:
        nearest = _closest(question, known)
        return trials(
            [*aside, *(what.judged for what in what_ifs(question, nearest.judged.point, known))]
        )
    base, most = question.base, question.stages[-1]
    room = headroom(question, search.best.judged.point, known)
    alternatives, undecided = _alternatives(question, search.best, known)
    wanted = trials([*aside, *(one for _, one in room.judgements), *undecided])
    for choice in (search.best, *alternatives):
        wanted += death_trials(base, choice.judged.point, known, most)
    return wanted


def remaining(question: Question, known: Known) -> int:
    """The most trials that are still to come, if the next decisions fall at their first stage."""
    search = _search(question, question.candidates, known)
    if not search.undecided:
        return len(plan(question, known))
    # All that are smaller than the best so far, if there is one.
    smaller = takewhile(
        lambda candidate: search.best is None or candidate != search.best.candidate,
        question.candidates,
    )
    return len(trials([judged(question, candidate.point, known) for candidate in smaller]))


def conclude(question: Question, known: Known) -> Answer:
    """What is known of the question so far."""
    search = _search(question, question.candidates, known)
    best = search.best
    each = [judged(question, candidate.point, known) for candidate in question.candidates]
    present = question.present
    closest = None if best is not None or question.floored else _closest(question, known)
    decided = not search.undecided and closest is not None
    return Answer(
        question=question,
        complete=not plan(question, known),
        best=_with_death(question, best, known) if best is not None else None,
        alternatives=()
        if best is None
        else tuple(
            _with_death(question, choice, known)
            for choice in _alternatives(question, best, known)[0]
        ),
        misses=_misses(question, best, known),
        present=None
        if present is None
        else Choice(present, judged(question, present.point, known)),
        closest=closest,
        headroom=None if best is None else headroom(question, best.judged.point, known),
        what_ifs=tuple(what_ifs(question, closest.judged.point, known))
        if closest is not None and decided
        else (),
        tried=sum(bool(one.observations) for one in each[: _rank(question, best)]),
        overloaded=sum(bool(one.overload) for one in each),
    )


def _search(question: Question, pool: Sequence[Candidate], known: Known) -> _Search:
    """Look for the first in the ``pool`` that meets."""
    undecided: list[Judged] = []
    for candidate in pool:
        one = judged(question, candidate.point, known)
        if one.verdict.decision == "meets":
            return _Search(Choice(candidate, one), tuple(undecided))
        if one.verdict.decision is None and len(undecided) < WINDOW:
            undecided.append(one)
    return _Search(None, tuple(undecided))


def _alternatives(
    question: Question, best: Choice, known: Known
) -> tuple[list[Choice], list[Judged]]:
    """The smallest that meet with more workers, and what is undecided about that."""
    numbers = sorted({c.server.workers for c in question.candidates})
    larger = [number for number in numbers if number > best.candidate.server.workers]
    alternatives: list[Choice] = []
    undecided: list[Judged] = []
    for number in larger[:ALTERNATIVES]:
        pool = [c for c in question.candidates if c.server.workers == number]
        search = _search(question, pool, known)
        undecided += search.undecided
        if search.best is not None:
            alternatives.append(search.best)
    return alternatives, undecided


def _rank(question: Question, best: Choice | None) -> int:
    """Number of candidates up to ``best``; all of them without one."""
    if best is None:
        return len(question.candidates)
    return question.candidates.index(best.candidate) + 1


def _misses(question: Question, best: Choice | None, known: Known) -> tuple[Choice, ...]:
    """Candidates before ``best`` that were tried and do not meet, the closest first."""
    if best is None:
        return ()
    smaller = takewhile(lambda candidate: candidate != best.candidate, question.candidates)
    tried = [Choice(c, judged(question, c.point, known)) for c in smaller]
    missed = [choice for choice in tried if choice.judged.observations]
    return tuple(sorted(missed, key=lambda choice: excess(question, choice.judged))[:MISSES])


def _closest(question: Question, known: Known) -> Choice:
    """The candidate that comes closest to the objectives; the largest if none was tried."""
    choices = [Choice(c, judged(question, c.point, known)) for c in question.candidates]
    tried = [choice for choice in choices if choice.judged.observations]
    if not tried:
        # Of the largest that with one queue for all, in which requests wait least.
        return max(choices, key=lambda choice: _strength(choice.candidate.server))
    return min(tried, key=lambda choice: excess(question, choice.judged))


def _strength(server: Server) -> tuple[int, ...]:
    return server.workers, server.threads, -server.worker_connections, not server.reuse_port


def _with_death(question: Question, choice: Choice, known: Known) -> Choice:
    point = choice.judged.point
    return Choice(choice.candidate, choice.judged, death(question.base, point, known))
