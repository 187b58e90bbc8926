"""What the tests that measure share: the costs of the machine that they run on."""

from __future__ import annotations

import math
import time
from dataclasses import fields, replace

import pytest

from reference_app.calibration.life import life_costs
from reference_app.calibration.requests import request_costs
from sim.costs import Costs

#: s for which the costs are those of this moment: they change with the hour, and a test whose
#: neighbour has just had them measured need not pay for that again.
FRESH = 120.0


class HostCosts:
    """This machine's costs, measured when they are first asked for, as `calibrate` does.

    Python imports and ends twice as slowly in one hour of a shared machine as in another. So a
    prediction that surprises is looked at again with costs measured anew, just before.
    """

    def __init__(self) -> None:
        self._measured: list[Costs] = []
        self._when = -math.inf

    def latest(self) -> Costs:
        """The costs as they were measured last."""
        return self._measured[-1] if self._measured else self.renewed()

    def renewed(self) -> Costs:
        """The costs now; measured anew unless they are `FRESH`."""
        if time.monotonic() < self._when + FRESH:
            return self._measured[-1]
        costs = replace(Costs(), **life_costs(None, launchdarkly=True), **request_costs())
        self._measured.append(costs)
        self._when = time.monotonic()
        return costs

    def middle(self) -> Costs:
        """The mean of the two latest, for measurements from before and after the latest."""
        two = self._measured[-2:]
        return Costs(
            **{
                field.name: sum(getattr(costs, field.name) for costs in two) / len(two)
                for field in fields(Costs)
            }
        )


@pytest.fixture(scope="session")
def host_costs() -> HostCosts:
    """The costs of the machine that the tests run on."""
    return HostCosts()
