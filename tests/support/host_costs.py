"""The costs of the machine that the tests run on."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from random import Random
from typing import TypeVar

from reference_app.calibration.life import life_costs
from reference_app.calibration.requests import request_costs
from reference_app.rig.kernel_hz import kernel_hz
from sim.experiment.costs import Costs
from sim.experiment.host import Host

T = TypeVar("T")

#: Lowest and highest of the rounds in which each cost was calibrated on one machine, as a part of
#: what `default_costs.toml` has; its comments say the rounds. So much a calibration is uncertain.
ROUNDS: Mapping[str, tuple[float, float]] = {
    "connect": (0.80, 1.19),
    "send": (0.82, 1.26),
    "accept": (0.80, 1.04),
    "request": (0.76, 1.05),
    "first_request": (0.85, 1.26),
    "timer_slack": (0.77, 1.26),
    "respond": (0.70, 1.21),
    "receive": (0.71, 1.34),
    "finish": (0.78, 1.09),
    "sync_finish": (0.78, 1.09),
    "linger": (0.70, 1.35),
    "import_app": (0.89, 1.01),
    "fork": (0.78, 1.02),
    "boot": (0.89, 1.17),
    "postfork": (0.94, 1.05),
    "finalize": (0.97, 1.28),
    "kill": (0.91, 1.28),
    "reload": (0.79, 1.05),
    "reexec": (0.97, 1.02),
}

#: s for which costs are those of the moment: one look after the other needs no more between them.
FRESH = 5.0


def this_host() -> Host:
    """The machine that the tests run on; of a kernel that does not say its HZ, the default's."""
    return Host(cores=len(os.sched_getaffinity(0)), hz=kernel_hz() or Host().hz)


def drawn(calibrations: Sequence[Costs], random: Random) -> Costs:
    """Costs that the machine may have had between ``calibrations``, each drawn by itself."""
    return replace(
        calibrations[0],
        **{
            name: random.uniform(
                low * min(getattr(costs, name) for costs in calibrations),
                high * max(getattr(costs, name) for costs in calibrations),
            )
            for name, (low, high) in ROUNDS.items()
        },
    )


class HostCosts:
    """This machine's costs, measured when they are first asked for, as `calibrate` does.

    Python imports and ends twice as slowly in one hour of a shared machine as in another. So a
    boot or an end that surprises is looked at again with its costs measured anew, just before.
    """

    def __init__(self) -> None:
        # When the costs of a process's life were measured last, s, and what they were.
        self._last: tuple[float, Costs] | None = None

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
        measured, before = self._last or (-math.inf, self.measured)
        if time.monotonic() - measured > FRESH:
            before = self.life_now()
        found, after = look(), self.life_now()
        self._last = time.monotonic(), after
        return (before, after), found

    def life_now(self) -> Costs:
        """The same, with those of a process's life measured anew."""
        return replace(self.measured, **life_costs(None, launchdarkly=True))
