"""What the tests that measure share: the costs of the machine that they run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
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
        *("server", "service", "timeline_cli", "validation_run"),
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


@pytest.fixture(scope="session")
def host_costs() -> HostCosts:
    """The costs of the machine that the tests run on."""
    return HostCosts()
