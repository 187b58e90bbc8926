"""The costs of the machine that the tests run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from reference_app.calibration.life import life_costs
from reference_app.calibration.requests import request_costs
from sim.experiment.costs import Costs

T = TypeVar("T")


class HostCosts:
    """This machine's costs, measured when they are first asked for, as `calibrate` does.

    Python imports and ends twice as slowly in one hour of a shared machine as in another. So a
    boot or an end that surprises is looked at again with its costs measured anew, just before.
    """

    @cached_property
    def measured(self) -> Costs:
        """All of them, as they were measured."""
        life, of_requests = self.parts
        return replace(Costs(), **life, **of_requests)

    @cached_property
    def parts(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """The same, of a process's life and of a request."""
        return life_costs(None, launchdarkly=True), request_costs()

    def around(self, look: Callable[[], T]) -> tuple[tuple[Costs, Costs], T]:
        """What ``look`` returns, and the costs of a process's life before and after it."""
        before, found, after = self.life_now(), look(), self.life_now()
        return (before, after), found

    def life_now(self) -> Costs:
        """The same, with those of a process's life measured anew."""
        return replace(self.measured, **life_costs(None, launchdarkly=True))
