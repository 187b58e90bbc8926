"""The requests of a log, as columns: some 24 bytes for each, however long its line was."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import merge
from typing import Any

from sim.experiment import TraceRow

#: In `LoggedRequests.route`, where the log names no path.
NO_ROUTE = -1

#: In `LoggedRequests.worker`, where the log names no process.
NO_WORKER = 0

#: Numbers that are sorted at once: as Python's integers they take ten times as much.
CHUNK = 250_000


@dataclass(frozen=True, slots=True)
class LoggedRequests:
    """The requests of a log, by arrival.

    Attributes:
        arrival: when each came, or began to be served, s since the epoch.
        duration: the request time, s.
        worker: process that served it; `NO_WORKER` where the log does not say.
        route: its place in ``names``; `NO_ROUTE` where it has none.
        names: of the routes.
    """

    arrival: array[float] = field(default_factory=lambda: array("d"))
    duration: array[float] = field(default_factory=lambda: array("d"))
    worker: array[int] = field(default_factory=lambda: array("i"))
    route: array[int] = field(default_factory=lambda: array("h"))
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.arrival)

    def sort(self) -> None:
        """Put the requests into the order in which they came.

        Column by column and in place: a log of ten million requests needs no second copy.
        """
        order = in_order(self.arrival)
        columns: tuple[array[Any], ...] = (self.duration, self.worker, self.route, self.arrival)
        for column in columns:
            column[:] = array(column.typecode, map(column.__getitem__, order))

    def part(self, first: int, end: int) -> LoggedRequests:
        """The requests from row ``first`` up to row ``end``, without that."""
        rows = slice(first, end)
        return LoggedRequests(
            self.arrival[rows],
            self.duration[rows],
            self.worker[rows],
            self.route[rows],
            self.names,
        )

    def name(self, row: int) -> str:
        """The route of a row; empty for none."""
        place = self.route[row]
        return "" if place == NO_ROUTE else self.names[place]

    def rows(self, cpu_part: float) -> tuple[TraceRow, ...]:
        """A trace whose first request comes at 0 s; ``cpu_part`` of each request time is CPU."""
        if not self.arrival:
            return ()
        first, names = self.arrival[0], (*self.names, "")
        return tuple(
            TraceRow(arrival - first, (1 - cpu_part) * took, cpu_part * took, names[route])
            for arrival, took, route in zip(self.arrival, self.duration, self.route, strict=True)
        )


def in_order(keys: Sequence[float]) -> array[int]:
    """The places of ``keys`` from the smallest to the largest; equal ones stay in order.

    It sorts chunk by chunk, for a list of ten million integers takes 700 MB; a place takes 4 bytes.
    """
    key = keys.__getitem__
    chunks = [
        array("I", sorted(range(start, min(start + CHUNK, len(keys))), key=key))
        for start in range(0, len(keys), CHUNK)
    ]
    if len(chunks) == 1:
        return chunks[0]
    return array("I", merge(*chunks, key=key))
