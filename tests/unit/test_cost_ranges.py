"""Costs of machines that nobody has calibrated are drawn from what was seen of others.

Goal: every cost has a range with its source, published calibrations lie in them, and draws reach
all of each range. Method: the table against the fields of `Costs` and the costs of published rows.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields, replace
from itertools import chain
from pathlib import Path

import pytest

from sim.experiment.cost_ranges import RANGES, CostRange, Ends, machines, sides, without
from sim.experiment.costs import PARTS, Costs
from sim.experiment.release_defaults import default_costs

DATA = Path(__file__).parents[2] / "site_docs" / "data"

#: What each factor is the geometric mean of.
OF_FACTOR = {
    "computing": ("accept", "request", "respond", "finish"),
    "waking": ("connect", "send", "receive", "timer_slack"),
}

#: Rows whose calibrations the table names, and their processor.
ROWS = {
    "validation": "AMD EPYC",
    "validation-24.1.1": "AMD EPYC",
    "validation-cpu-limit": "AMD EPYC",
    "validation-26.2.0": "AMD EPYC",
    "validation-xeon": "Intel Xeon",
}

#: Machines that are drawn at once here.
MANY = 40


def of_races() -> set[str]:
    return {name for of in RANGES.races for race in of.seen for name in race}


def calibrations(name: str) -> list[dict[str, float]]:
    """The different costs of a file's rows, each of which one calibration has learnt."""
    _, *lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    learnt = [json.loads(line)["experiment"]["costs"] for line in lines]
    return list({json.dumps(costs): costs for costs in learnt}.values())


def test_every_cost_is_in_one_place() -> None:
    named = [*RANGES.costs, *of_races(), *RANGES.same]
    assert sorted(named) == sorted(cost.name for cost in fields(Costs))
    assert {entry.factor for entry in RANGES.costs.values()} == {None, *RANGES.factors}


@pytest.mark.parametrize("entry", RANGES.costs.values(), ids=lambda entry: entry.name)
def test_a_range_of_one_processor_is_an_assumption(entry: CostRange) -> None:
    assert set(entry.seen) <= set(RANGES.processors)
    assert (entry.assumed is None) == (len(entry.seen) > 1)
    for ends in entry.seen.values():
        assert entry.ends.low <= ends.low <= ends.high <= entry.ends.high
    if entry.assumed is not None and not entry.why:
        # The rule of the file: a quarter wider at either end.
        (seen,) = entry.seen.values()
        assert entry.assumed.low == pytest.approx(seen.low / 1.25, abs=0.011)
        assert entry.assumed.high == pytest.approx(1.25 * seen.high, rel=0.01)


def test_the_defaults_are_within_all_ranges() -> None:
    for entry in chain(RANGES.factors.values(), RANGES.costs.values()):
        default = getattr(Costs(), entry.name) if entry.name not in RANGES.factors else 1.0
        value = 1.0 if entry.factor is not None else default
        assert entry.ends.low <= value <= entry.ends.high, entry.name


@pytest.mark.parametrize("name", ROWS)
def test_published_calibrations_are_within_the_ranges(name: str) -> None:
    default = asdict(Costs())
    for costs in calibrations(name):
        ratios = {cost: value / default[cost] for cost, value in costs.items()}
        factors = {
            factor: math.exp(sum(math.log(ratios[cost]) for cost in of) / len(of))
            for factor, of in OF_FACTOR.items()
        }
        for factor, value in factors.items():
            seen = RANGES.factors[factor].seen[ROWS[name]]
            assert seen.low <= value <= seen.high, factor
        for cost, entry in RANGES.costs.items():
            # Not learnt by all of them, and then the default of a release.
            if cost in costs and costs[cost] != default[cost]:
                value = costs[cost]
                if entry.factor is not None:
                    value = ratios[cost] / factors[entry.factor]
                assert entry.ends.low <= value <= entry.ends.high, cost
        if ROWS[name] == "Intel Xeon":
            continue  # Its race was fitted to another model.
        race = {name: costs[name] for name in of_races()}
        seen_races = [seen for of in RANGES.races for seen in of.seen]
        assert any(race == pytest.approx(seen) for seen in seen_races)


def test_machines_are_the_same_for_one_seed_and_others_for_another() -> None:
    assert machines(4, Costs(), 1) == machines(4, Costs(), 1)
    assert not set(machines(4, Costs(), 1)) & set(machines(4, Costs(), 2))


def test_a_cost_that_is_left_out_changes_no_other() -> None:
    fewer = {name: entry for name, entry in RANGES.costs.items() if name != "accept"}
    without = machines(6, Costs(), 1, replace(RANGES, costs=fewer))
    for one, other in zip(without, machines(6, Costs(), 1), strict=True):
        assert replace(one, accept=other.accept) == other


def test_few_machines_reach_every_part_of_a_range() -> None:
    drawn = machines(MANY, Costs(), 1)
    ends = RANGES.costs["cooling"].ends
    parts = sorted(
        math.log(costs.cooling / ends.low) / math.log(ends.high / ends.low) for costs in drawn
    )
    assert [int(MANY * part) for part in parts] == list(range(MANY))
    # Each processor's race as often as the other's, and as one calibration had it.
    assert [costs.wake_affine for costs in drawn].count(0.02) == MANY // 2
    seen = [tuple(race.values()) for of in RANGES.races for race in of.seen]
    races = {(costs.wake_affine, costs.wake_late, costs.wake_warm) for costs in drawn}
    assert races <= set(seen)


def test_one_factor_scales_all_that_computes() -> None:
    drawn = machines(MANY, Costs(), 1)
    # Of the variance of a step's cost between machines, most is what it has in common.
    accepts, requests = (
        [math.log(getattr(costs, name)) for costs in drawn] for name in ("accept", "request")
    )
    mean_a, mean_r = sum(accepts) / MANY, sum(requests) / MANY
    together = sum(
        (a - mean_a) * (r - mean_r) for a, r in zip(accepts, requests, strict=True)
    ) / math.sqrt(
        sum((a - mean_a) ** 2 for a in accepts) * sum((r - mean_r) ** 2 for r in requests)
    )
    assert together > 0.8


def test_a_release_keeps_what_it_differs_in() -> None:
    old, new = default_costs("23.0.0"), default_costs("27.0.1")
    for there, here in zip(machines(5, old, 3), machines(5, new, 3), strict=True):
        assert there.finish / here.finish == pytest.approx(old.finish / new.finish)
        assert there.cached == here.cached


def test_a_probability_and_a_part_stay_at_most_one() -> None:
    for costs in machines(MANY, Costs(), 5):
        for name in (*PARTS, *of_races(), *RANGES.same, "wake_idle", "proxy_late"):
            assert 0 <= getattr(costs, name) <= 1, name


def test_a_side_moves_one_range_only() -> None:
    found = {(side.name, side.end): side.costs for side in sides(Costs())}
    assert set(found) == {
        (name, end)
        for name in (*RANGES.factors, *RANGES.costs, *of_races())
        for end in ("low", "high")
    }
    slow = found["computing", "high"]
    assert slow.request == pytest.approx(RANGES.factors["computing"].ends.high * Costs().request)
    assert slow.connect == Costs().connect
    assert replace(found["warm", "low"], warm=Costs().warm) == Costs()
    assert found["warm", "low"].warm == RANGES.costs["warm"].ends.low
    assert found["wake_affine", "low"].wake_affine == 0.02


def test_a_processor_that_nobody_has_seen_leaves_assumptions() -> None:
    left = without("Intel Xeon")
    assert left.processors == ("AMD EPYC",)
    assert [of.processor for of in left.races] == ["AMD EPYC"]
    low, high = RANGES.costs["finish"].seen["AMD EPYC"]
    assert left.costs["finish"].ends == pytest.approx((low / 1.25, 1.25 * high))
    assert left.costs["cached"] == RANGES.costs["cached"]
    assert {costs.wake_affine for costs in machines(MANY, Costs(), 1, left)} == {0.94}


def test_what_was_seen_has_its_source() -> None:
    assert all(each.source and each.when and each.number for each in RANGES.calibrations)
    assert {of.processor for of in RANGES.races} == set(RANGES.processors)
    assert CostRange("one", {"a": Ends(1, 2), "b": Ends(0.5, 1)}).ends == Ends(0.5, 2)
