"""The cells on which the model's proxy is held against real nginx in front of the real server.

They are the first of a sample of their own, whose seed was chosen before any of them was measured.
The hash of a cell's name decides whether its nginx keeps connections.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from typing import Final

from sim.experiment import Experiment, Host, Proxy
from sim.validation.grid import Cell, sample

#: Seed of the sample, and the number of its first cells that are measured.
SEED: Final = 300
CELLS: Final = 10

#: Idle connections that nginx keeps to Gunicorn: its old default, and what its documentation's
#: example has.
KEPT: Final = (0, 16)


@dataclass(frozen=True, slots=True)
class ProxiedCell:
    """A cell of the grid behind nginx.

    Attributes:
        cell: the server and its traffic.
        keepalive: idle connections that nginx keeps at most.
    """

    cell: Cell
    keepalive: int

    @property
    def name(self) -> str:
        """All levels, in words."""
        return f"{self.cell.name}, nginx keepalive {self.keepalive}"

    def experiment(self, host: Host, seed: int) -> Experiment:
        """The cell as an experiment of one replication on ``host``."""
        proxy = Proxy(kind="nginx", keepalive=self.keepalive)
        return replace(self.cell.experiment(host, seed), proxy=proxy)


@cache
def proxied() -> tuple[ProxiedCell, ...]:
    """The cells behind nginx, in the order to run them."""
    return tuple(
        ProxiedCell(cell, KEPT[sha256(cell.name.encode()).digest()[0] % len(KEPT)])
        for cell in sample(SEED)[:CELLS]
    )
