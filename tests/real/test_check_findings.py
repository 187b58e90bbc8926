"""Findings of ``check`` on the real server: what it says is better is better there.

Goal: no advice that only the model follows. Method: the service of each rule is measured as it is
and mended, on the same requests, and the measure that the finding names is compared. The services
are chosen so that the difference is large; it counts if a third of what is predicted shows. Most of
them wait, so some are measured at the same time; those that compute are alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from statistics import fmean

import pytest
from check_cases import CASES, subject
from rank_test import LOOKS
from release_of import release_of

from reference_app.rig.measure import measure
from sim.experiment import Experiment
from sim.model.simulation import predict
from sim.study.check.rule import Effect
from sim.study.check.rules import RULES
from sim.study.check.scenario import served
from sim.study.compare import contrast
from sim.study.observation import Observation, observe

#: Replications that are predicted of each side.
REPLICATIONS = 6

#: Of the predicted difference, what has to be measured.
PART = 1 / 3

#: Servers that are measured at the same time: their requests wait.
AT_ONCE = 6

EFFECTS: dict[str, Effect] = {
    rule.name: effect
    for rule in RULES
    if rule.applies(subject(rule.name))
    and isinstance(effect := rule.effect(subject(rule.name)), Effect)
}

#: Judged by tests of their own, and not by which side is better; the last one, a race that a few
#: requests in a thousand lose, in `test_connections`.
JUDGED = ("more-workers-than-cores-can-run", "no-timeout", "keepalive-shorter-than-the-proxys")

#: Services that use their cores.
ALONE = (
    "kept-connections-are-closed",
    "limit-starves-connections",
    "threads-share-a-gil",
)

BETTER = [name for name, effect in EFFECTS.items() if effect.mended and name not in JUDGED]
HELPLESS = [name for name, effect in EFFECTS.items() if effect.mended is None]


def measured(experiment: Experiment) -> Observation:
    """One run of the real server in numbers."""
    run = measure(experiment, 0, lambda *_: None, release_of(experiment.server.gunicorn))
    return observe(run)


Sides = dict[str, list[Future[Observation]]]


@pytest.fixture(scope="module")
def sides() -> Iterator[Sides]:
    """Every service that waits, as it is and mended."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        measuring: Sides = {
            name: [pool.submit(measured, side) for side in (effect.now, effect.mended) if side]
            for name, effect in EFFECTS.items()
            if name not in (*ALONE, *JUDGED)
        }
        # All of them, before any that is to be alone.
        wait([future for futures in measuring.values() for future in futures])
        yield measuring


def difference(effect: Effect, measure_: str, now: Observation, mended: Observation) -> float:
    """How much less it is mended; a time without end counts as that of the whole run."""
    end = effect.now.traffic.duration + effect.now.traffic.drain
    values = (getattr(side, measure_) for side in (now, mended))
    before, after = (end if value is None else value for value in values)
    return float(before - after)


@pytest.mark.parametrize("name", BETTER)
def test_what_is_said_to_be_better_is(name: str, sides: Sides) -> None:
    effect = EFFECTS[name]
    assert effect.mended is not None
    now, mended = (
        [observe(predict(side, number)) for number in range(REPLICATIONS)]
        for side in (effect.now, effect.mended)
    )
    named = next(
        one.measure
        # The mean last, and first here: of a single run it says the most.
        for one in (contrast(measure_, now, mended) for measure_ in reversed(effect.measures))
        if one.finding == "lower" or (one.a is None and one.b is not None)
    )
    # Of the requests that are measured, with other chances of the server.
    pairs = (
        [observe(predict(side, 0, variant)) for side in (effect.now, effect.mended)]
        for variant in range(REPLICATIONS)
    )
    expected = fmean(difference(effect, named, one, other) for one, other in pairs)
    assert expected > 0
    seen: list[float] = []
    while len(seen) < LOOKS and (not seen or seen[-1] < PART * expected):
        first = not seen and name in sides
        before, after = (
            [future.result() for future in sides[name]]
            if first
            else [measured(side) for side in (effect.now, effect.mended)]
        )
        seen.append(difference(effect, named, before, after))
    assert seen[-1] >= PART * expected, (named, expected, seen)


@pytest.mark.parametrize("name", HELPLESS)
def test_what_nothing_restores_is_not_restored(name: str, sides: Sides) -> None:
    (future,) = sides[name]
    assert observe(predict(EFFECTS[name].now)).restored is None
    assert future.result().restored is None


def test_fewer_workers_do_as_well_where_it_is_said() -> None:
    effect = EFFECTS["more-workers-than-cores-can-run"]
    assert effect.mended is not None
    more, fewer = measured(effect.now), measured(effect.mended)
    assert (more.lost, fewer.lost) == (0.0, 0.0)
    assert more.p50 is not None
    assert fewer.p50 is not None
    assert fewer.p50 < 1.1 * more.p50


def test_a_hang_without_timeout_lasts() -> None:
    """With a shorter `timeout` than the rule's, which would take a minute to show."""
    effect = EFFECTS["no-timeout"]
    traffic = replace(effect.now.traffic, duration=7.0, rate=5.0)
    now = replace(
        effect.now,
        traffic=traffic,
        disturbances=tuple(replace(hang, at=1.0) for hang in effect.now.disturbances),
    )
    without, mended = measured(now), measured(served(now, timeout=2))
    assert without.restored is None
    assert mended.restored is not None


def test_every_rule_with_a_prediction_is_measured() -> None:
    assert {*BETTER, *HELPLESS, *JUDGED} == EFFECTS.keys()
    assert EFFECTS.keys() <= CASES.keys()
