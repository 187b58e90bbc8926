"""The cells on which the model of one core is held against a real server that has one core.

They are the first of a sample of their own, whose seed was chosen before any of them was measured.
The clients have cores of their own: `sim.experiment.host.Host.clients` is ``remote``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from sim.experiment import Experiment, Host
from sim.validation.grid import Cell, sample

#: Seed of the sample, and the number of its first cells that are measured.
SEED: Final = 400
CELLS: Final = 8


@dataclass(frozen=True, slots=True)
class OneCoreCell:
    """A cell of the grid on one core.

    Attributes:
        cell: the server and its traffic.
    """

    cell: Cell

    @property
    def name(self) -> str:
        """All levels, in words."""
        return f"{self.cell.name}, one core"

    def experiment(self, host: Host, seed: int) -> Experiment:
        """The cell as an experiment of one replication on ``host``."""
        return self.cell.experiment(replace(host, cores=1, clients="remote"), seed)


@cache
def on_one_core() -> tuple[OneCoreCell, ...]:
    """The cells, in the order to run them."""
    return tuple(map(OneCoreCell, sample(SEED)[:CELLS]))
