"""What requests had waited before they began, as a recording says it beside their demand.

A prediction has a wait of its own; the recorded one is what it can be held against.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

from sim.reading.recording import Columns


class RecordedWaits:
    """The waits of a recording, as its lines are read; empty for a trace that is no recording."""

    def __init__(self) -> None:
        self._waits = array("d")
        self._workers: set[str] = set()
        self._unknown = 0

    def add(self, columns: Columns, cells: Sequence[str]) -> None:
        """Add a line of a recording; a wait that is no finite number is not known."""
        if columns.wait is None or columns.worker is None:
            return
        self._workers.add(cells[columns.worker])
        try:
            wait = float(cells[columns.wait])
        except ValueError:
            wait = math.nan
        if math.isfinite(wait):
            self._waits.append(columns.wait_unit * wait)
        else:
            self._unknown += 1

    def notices(self, path: str) -> tuple[str, ...]:
        """A sentence about them; none where no wait is known.

        Args:
            path: of the recording, to be named.
        """
        waits = self._waits
        if not waits:
            return ()
        ordered = sorted(waits)
        mean, p99 = sum(waits) / len(waits), ordered[int(0.99 * (len(ordered) - 1))]
        number = len(self._workers)
        processes = "1 process" if number == 1 else f"{number} processes"
        others = f"; {self._unknown:,} do not say" if self._unknown else ""
        return (
            f"{path}: {len(waits):,} requests had been there for {1000 * mean:.1f} ms on average "
            f"before {processes} began them, 99 % of them for at most {1000 * p99:.0f} ms{others}. "
            "The wait of a prediction can be held against that.",
        )
