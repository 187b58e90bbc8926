"""What the tests that measure share: the costs of the machine that they run on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TypeVar

import pytest
from hypothesis import settings

from reference_app.calibration.life import life_costs
from reference_app.calibration.requests import request_costs
from sim.costs import Costs

T = TypeVar("T")

# Other tests, and other people's machines, may have the processor while an example is tried.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

#: s for which the costs are those of this moment: they change with the hour, and a test whose
#: neighbour has just had them measured need not pay for that again.
FRESH = 120.0

#: Files whose tests start no Gunicorn and judge no time, so that they may run beside each other:
#: `.ci/run` does so with all that is marked ``computes``.
COMPUTES = frozenset(
    f"test_{name}"
    for name in (
        *("arguments", "bad_input", "cached_pace", "candidates", "capacity", "chrome_trace"),
        *("claims", "comparison", "compiled", "convoy", "cores", "dask", "disturbance"),
        *("document", "executors", "experiment_file", "faq_rules", "gil", "gunicorn_config"),
        *("handshake", "in_passing", "life", "model", "model_theory", "pace", "parameter"),
        *("progress_line", "recovery", "report", "run", "sequential", "site", "site_data"),
        *("site_validation", "sizing", "sketch", "store", "study_cli", "summary", "tally"),
        *("theory", "timeline", "traffic", "validation", "validation_grid", "wakeup", "walls"),
    )
)

#: Files whose tests start servers, but judge times by half a second and more, and processes by
#: whose children they are: two at a time may do so.
SERVES = frozenset(
    f"test_{name}"
    for name in (
        *("access_log", "cli", "faq_launchdarkly", "faq_logs", "faq_sockets", "faq_start"),
        *("server", "service", "timeline_cli"),
    )
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `COMPUTES` and of `SERVES`; what has no mark measures."""
    for item in items:
        if item.path.stem in COMPUTES:
            item.add_marker("computes")
        elif item.path.stem in SERVES:
            item.add_marker("serves")


class HostCosts:
    """This machine's costs, measured when they are first asked for, as `calibrate` does.

    Python imports and ends twice as slowly in one hour of a shared machine as in another. So a
    prediction that surprises is looked at again with costs measured anew, just before.
    """

    def __init__(self) -> None:
        self._measured: list[Costs] = []
        self._when = -math.inf
        self._parts: tuple[Mapping[str, float], Mapping[str, float]] = ({}, {})

    def latest(self) -> Costs:
        """The costs as they were measured last."""
        return self._measured[-1] if self._measured else self.renewed()

    def renewed(self) -> Costs:
        """The costs now; measured anew unless they are `FRESH`."""
        if time.monotonic() < self._when + FRESH:
            return self._measured[-1]
        self._parts = life_costs(None, launchdarkly=True), request_costs()
        costs = replace(Costs(), **self._parts[0], **self._parts[1])
        self._measured.append(costs)
        self._when = time.monotonic()
        return costs

    def around(self, look: Callable[[], T]) -> tuple[tuple[Costs, Costs], T]:
        """What ``look`` returns, and the costs of a process's life before and after it."""
        before, found, after = self.life_now(), look(), self.life_now()
        return (before, after), found

    def life_now(self) -> Costs:
        """The latest, with those of a process's life measured anew: `FRESH` ones surprise too."""
        return replace(self.latest(), **life_costs(None, launchdarkly=True))

    def parts(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """The latest, of a process's life and of a request, as they were measured."""
        self.latest()
        return self._parts

    def middle(self) -> Costs:
        """The mean of those before and those now, for measurements from both times."""
        self.renewed()
        return _mean(self._measured[-2:])


def _mean(measured: Sequence[Costs]) -> Costs:
    return Costs(
        **{
            field.name: sum(getattr(costs, field.name) for costs in measured) / len(measured)
            for field in fields(Costs)
        }
    )


@pytest.fixture(scope="session")
def host_costs() -> HostCosts:
    """The costs of the machine that the tests run on."""
    return HostCosts()
