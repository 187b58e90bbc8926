"""No prediction moves unnoticed: small experiments of every kind are predicted as they were."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from any_experiment import any_experiment
from kept_predictions import NUMBER, SEED, digest, kept, moved, said_of

from sim.experiment.costs import Costs

#: Experiments of one test.
BLOCK = 8

#: How to go on where a prediction was to move.
ADVICE = "if that is meant, keep it: python tests/support/kept_predictions.py"


@pytest.mark.parametrize("first", range(0, NUMBER, BLOCK))
def test_predictions_are_what_they_were(first: int) -> None:
    before = kept()
    found = {
        number: how
        for number in range(first, min(first + BLOCK, NUMBER))
        if (how := moved(before[number], said_of(any_experiment(SEED, number))))
    }
    assert not found, ADVICE


def test_each_experiment_is_kept() -> None:
    said = kept()
    assert len(said) == NUMBER
    # They differ, and nearly all are predicted.
    assert len({it.get("run") for it in said}) > 0.9 * NUMBER
    assert sum("tally" in it for it in said) > 0.05 * NUMBER


def test_a_microsecond_more_is_noticed() -> None:
    asked = any_experiment(SEED, 0)
    slower = replace(asked, costs=replace(asked.costs, request=Costs().request + 1e-6))
    assert "run" in moved(said_of(asked), said_of(slower))


def test_the_last_bit_of_a_time_is_not() -> None:
    assert digest([0.1 + 0.2, {"at": math.nan}, -0.0]) == digest([0.3, {"at": math.nan}, 0.0])
    assert digest([0.3]) != digest([0.300000002])


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(TypeError, match="found object; expected plain values"):
        digest([object()])
