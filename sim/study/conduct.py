"""Carrying a study out: what its plan asks for, on an executor, until it asks for nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed

from sim.study.observation import Observation
from sim.study.trial import Known, Trial

#: What is to be tried next, given what is known; nothing that is.
Plan = Callable[[Known], Sequence[Trial]]


def conduct(
    plan: Plan, known: Known, submit: Callable[[Trial], Future[Observation]]
) -> Iterator[tuple[Trial, Observation]]:
    """Carry out a ``plan``, adding each observation to ``known`` and yielding it.

    The plan is asked again only when all that it asked for is known, so neither the number of
    processes nor the order in which they finish decides anything. Trials that are known already
    are not made again. A caller that stops in between has in ``known`` what there is by then.

    Args:
        plan: pure; it ends the study by asking for nothing.
        known: from an earlier study with the same base, or empty.
        submit: has a trial made; see `sim.study.trial.submitter`.

    Raises:
        Exception: what a trial raised, or the executor.
    """
    while trials := [trial for trial in plan(known) if trial not in known]:
        futures = {submit(trial): trial for trial in trials}
        try:
            for future in as_completed(futures):
                trial = futures[future]
                known[trial] = future.result()
                yield trial, known[trial]
        finally:
            for future in futures:
                future.cancel()
