"""Objectives, and verdicts on them from as few replications as it takes."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from sim.analysis.theory import student_t_probability, student_t_quantile
from sim.errors import ExperimentError
from sim.study.objective import Objective, complete, parse
from sim.study.observation import Observation
from sim.study.sequential import judge, stages

NOTHING_LOST = Observation(0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.0, 10.0, 0.5, 0.0)


def seen(*p99: float) -> list[Observation]:
    return [replace(NOTHING_LOST, p99=value) for value in p99]


# --- objectives -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "measure", "limit"),
    [
        ("p99=300ms", "p99", 0.3),
        ("p99 <= 300 ms", "p99", 0.3),
        ("mean<0.08s", "mean", 0.08),
        ("p50=900us", "p50", 0.0009),
        ("lost=0.1%", "lost", 0.001),
        ("lost=0.01", "lost", 0.01),
    ],
)
def test_an_objective(text: str, measure: str, limit: float) -> None:
    found = parse(text)
    assert found.measure == measure
    assert found.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "objective '' is not understood; expected mean, p50, p90, p95, p99, max and a time"),
        ("p99", "objective 'p99' is not understood"),
        ("p98=1s", "objective 'p98=1s' is not understood"),
        ("p99=fast", "objective 'p99=fast' is not understood"),
        ("p99=1.1.1s", "'1.1.1' is no number"),
        ("p99=300", "objective 'p99=300' has no unit; expected us, ms or s"),
        ("p99=300min", "has unit 'min'; expected us, ms or s"),
        ("p99=0ms", "expected a finite time above 0"),
        ("p99=-1ms", "expected a finite time above 0"),
        ("lost=101%", "expected a share of the requests from 0% to 100%"),
        ("lost=1ms", "expected a share of the requests"),
    ],
)
def test_no_objective(text: str, message: str) -> None:
    with pytest.raises(ExperimentError) as refused:
        parse(text)
    assert message in str(refused.value)


def test_nothing_may_be_lost_unless_it_is_said() -> None:
    p99 = parse("p99=1s")
    assert complete([p99]) == (p99, Objective("lost", 0.0))
    lost = parse("lost=1%")
    assert complete([p99, lost]) == (p99, lost)
    with pytest.raises(ExperimentError, match="p99 has two objectives"):
        complete([p99, parse("p99=2s")])
    with pytest.raises(ExperimentError, match="there is no objective"):
        complete([])


# --- verdicts -------------------------------------------------------------------------------------


def test_stages_double() -> None:
    assert stages(40) == (3, 6, 12, 24, 40)
    assert stages(24) == (3, 6, 12, 24)
    assert stages(3) == (3,)


@pytest.mark.parametrize(
    ("p99", "decision", "replications"),
    [
        ((), None, 0),
        ((0.1, 0.1), None, 2),
        ((0.1, 0.11, 0.12), "meets", 3),
        ((0.9, 0.91, 0.92), "fails", 3),
        ((0.1, 0.3, 0.5), None, 3),
        ((0.29, 0.3, 0.31, 0.29, 0.3, 0.31), "close", 6),
        # Alike to the last bit, as with constant demands.
        ((0.3, 0.3, 0.3), "meets", 3),
    ],
)
def test_a_verdict(p99: tuple[float, ...], decision: str | None, replications: int) -> None:
    verdict = judge(seen(*p99), complete([parse("p99=300ms")]), (3, 6))
    assert (verdict.decision, verdict.replications) == (decision, replications)


def test_no_answer_at_all_fails() -> None:
    never = [replace(NOTHING_LOST, p99=None)] * 3
    verdict = judge(never, (parse("p99=300ms"),), (3, 6))
    assert (verdict.decision, verdict.confidence) == ("fails", 0.0)


def test_one_lost_request_is_one_too_many() -> None:
    losing = [replace(each, lost=0.001) for each in seen(0.1, 0.11, 0.12)]
    assert judge(losing, complete([parse("p99=300ms")]), (3, 6)).decision == "fails"
    once = [*seen(0.1, 0.11), losing[0]]
    assert judge(once, complete([parse("p99=300ms")]), (3,)).decision == "close"


def test_it_is_wrong_as_seldom_as_it_says() -> None:
    # The mean is just above the limit, so each ``meets`` is an error; 5 % are allowed.
    random = Random(1)
    objectives = (parse("p99=1s"),)
    wrong = sum(
        judge(
            seen(*(random.gauss(1.0 + 1e-9, 0.2) for _ in range(24))), objectives, stages(24)
        ).decision
        == "meets"
        for _ in range(1000)
    )
    assert wrong <= 50
    # And it is no excuse for never saying anything.
    right = sum(
        judge(seen(*(random.gauss(0.8, 0.2) for _ in range(24))), objectives, stages(24)).decision
        == "meets"
        for _ in range(200)
    )
    assert right > 180


@pytest.mark.parametrize("degrees", [1, 2, 5, 30])
@pytest.mark.parametrize("probability", [0.6, 0.95, 0.999])
def test_students_t_and_back(degrees: int, probability: float) -> None:
    value = student_t_quantile(probability, degrees)
    assert student_t_probability(value, degrees) == pytest.approx(probability)
    assert student_t_probability(-value, degrees) == pytest.approx(1 - probability)
    assert student_t_probability(0.0, degrees) == 0.5
