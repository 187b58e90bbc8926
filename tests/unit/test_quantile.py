"""Quantiles of values in any order are those of the same values sorted, to the last bit.

Goal: many values are not sorted for their quantiles, and nothing else differs. Method: values in
orders of all kinds, also such that mislead the sample, beside the sorted ones.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from random import Random

import pytest

from sim.analysis import quantile as module
from sim.analysis.quantile import FEW, STRIDE, quantile, quantiles
from sim.run.column import floats

PROBABILITIES = (0.0, 0.001, 0.5, 0.9, 0.95, 0.99, 1.0)

NUMBER = 3 * FEW + 7

VALUES: dict[str, Callable[[int], float]] = {
    "exponential": lambda row: Random(row).expovariate(1.0),
    "few different": lambda row: float(Random(row).randrange(3)),
    "all the same": lambda _: 2.5,
    "ascending": float,
    "descending": lambda row: -float(row),
    # What the sample sees is unlike all else.
    "low in the sample": lambda row: 0.0 if row % STRIDE == 0 else float(row),
    "high in the sample": lambda row: 1e9 if row % STRIDE == 0 else float(row),
}


@pytest.mark.parametrize("number", [1, 2, 9, FEW - 1, FEW, NUMBER])
@pytest.mark.parametrize("kind", VALUES)
def test_quantiles_are_those_of_sorted_values(kind: str, number: int) -> None:
    values = array("d", map(VALUES[kind], range(number)))
    expected = [quantile(sorted(values), probability) for probability in PROBABILITIES]
    before = values[:]
    assert quantiles(floats(values), PROBABILITIES) == expected
    assert values == before


def test_many_values_are_sorted_only_where_the_sample_was_unlucky(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths: list[int] = []

    def counted(values: list[float]) -> list[float]:
        lengths.append(len(values))
        return sorted(values)

    monkeypatch.setattr(module, "sorted", counted, raising=False)
    quantiles(floats(array("d", map(VALUES["exponential"], range(NUMBER)))), PROBABILITIES)
    assert max(lengths) < NUMBER / 20
    quantiles(floats(array("d", map(VALUES["low in the sample"], range(NUMBER)))), PROBABILITIES)
    # Once, for all quantiles.
    assert lengths.count(NUMBER) == 1
