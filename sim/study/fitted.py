"""Every number of the model that was fitted, in one table.

Each stands in a module of `sim.model.fitted`, with its source and its machine. How much published
figures depend on it is in `sim.study.sensitivity`.
"""

from __future__ import annotations

from typing import Final

from sim.model.fitted import accept_race, caches, gil, life, scheduler, steps
from sim.model.fitted.number import Fitted

FITTED: Final[tuple[Fitted, ...]] = (
    *accept_race.FITTED,
    *scheduler.FITTED,
    *gil.FITTED,
    *steps.FITTED,
    *caches.FITTED,
    *life.FITTED,
)
