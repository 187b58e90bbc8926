"""The rank-sum test is exact, alarms as seldom as it says, and rejects what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from random import Random

import pytest

from sim.validation.comparison import FALSE_ALARM
from sim.validation.rank_sum import least_p_value, p_larger, p_value

TRIALS = 2_000


def counted(repeats: Sequence[float], variants: Sequence[float]) -> float:
    """`p_larger` by counting all ways to choose which values are the repeats; without ties."""
    values = sorted((*repeats, *variants))
    reached = sum(values.index(value) for value in repeats)
    ways = [sum(places) for places in combinations(range(len(values)), len(repeats))]
    return sum(way >= reached for way in ways) / len(ways)


@pytest.mark.parametrize(("repeats", "variants"), [(1, 1), (1, 9), (2, 7), (4, 5), (6, 3)])
def test_it_is_what_counting_all_orders_gives(repeats: int, variants: int) -> None:
    random = Random(repeats)
    for _ in range(20):
        values = random.sample(range(100), repeats + variants)
        some, others = values[:repeats], values[repeats:]
        larger, smaller = counted(some, others), counted([-v for v in some], [-v for v in others])
        assert p_larger(some, others) == pytest.approx(larger)
        assert p_value(some, others, 0.0) == pytest.approx(min(1, 2 * min(larger, smaller)))


def test_the_least_is_that_of_repeats_beyond_every_variant() -> None:
    assert p_value([9.0] * 3, range(8), 0.0) == least_p_value(3, 8) == pytest.approx(2 / 165)
    assert p_value([-1.0] * 3, range(8), 0.0) == least_p_value(3, 8)
    assert least_p_value(1, 1) == 1.0


def test_ties_make_an_alarm_less_likely() -> None:
    # The repeat is as large as the largest of 99 variants, or larger.
    assert p_larger([99.0], range(1, 100)) == pytest.approx(2 / 100)
    assert p_larger([99.5], range(1, 100)) == pytest.approx(1 / 100)
    assert p_value([5.0] * 6, [5.0] * 90, 0.0) == 1.0


def alarms(error: float, tolerance: float, repeats: int = 6, variants: int = 90) -> float:
    """Share of trials that the test rejects, of skewed values as latencies are."""
    random = Random(7)

    def draw() -> float:
        return random.lognormvariate(0.0, 0.3)

    return (
        sum(
            p_value(
                [draw() + error for _ in range(repeats)],
                [draw() for _ in range(variants)],
                tolerance,
            )
            < FALSE_ALARM
            for _ in range(TRIALS)
        )
        / TRIALS
    )


def test_it_alarms_as_seldom_as_it_says() -> None:
    # Four standard deviations of the count on either side; discrete ranks make it rarer.
    assert FALSE_ALARM / 3 < alarms(0.0, 0.0) < FALSE_ALARM + 4 * (FALSE_ALARM / TRIALS) ** 0.5


@pytest.mark.parametrize("error", [-0.1, -0.05, 0.05, 0.1])
def test_an_error_within_the_tolerance_alarms_no_more_often(error: float) -> None:
    assert alarms(error, 0.1) < FALSE_ALARM + 4 * (FALSE_ALARM / TRIALS) ** 0.5


def test_an_error_beyond_scatter_and_tolerance_is_rejected() -> None:
    assert alarms(0.8, 0.1) > 0.95
    assert alarms(-0.8, 0.1) > 0.95
