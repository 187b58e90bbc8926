"""What requests had waited before they began, as a recording says it beside their demand.

A prediction has a wait of its own; the recorded one is what it can be held against.
"""

from __future__ import annotations

from array import array
from pathlib import Path

from sim.reading.recording import COLUMNS, HEADER, HEADERS

_WAIT, _WORKER = COLUMNS.index("wait_s"), COLUMNS.index("worker")


def recorded_waits(path: Path) -> tuple[str, ...]:
    """A notice about the waits of a recording that `sim.reading.trace_file` has read.

    None of a trace that is no recording, or of a recording without waits.
    """
    if not path.is_file():
        return ()  # A pipe has been read.
    waits, workers, unknown = array("d"), set[str](), 0
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline().rstrip("\r\n")
        if header not in HEADERS:
            return ()
        for line in file:
            cells = line.rstrip("\r\n").split(",")
            if cells[0] == COLUMNS[0]:
                header = line.rstrip("\r\n")
            elif header == HEADER and len(cells) == len(COLUMNS):
                workers.add(cells[_WORKER])
                try:
                    waits.append(float(cells[_WAIT]))
                except ValueError:
                    unknown += 1
    if not waits:
        return ()
    ordered = sorted(waits)
    mean, p99 = sum(waits) / len(waits), ordered[int(0.99 * (len(ordered) - 1))]
    processes = "1 process" if len(workers) == 1 else f"{len(workers)} processes"
    others = f"; {unknown:,} do not say" if unknown else ""
    return (
        f"{path}: {len(waits):,} requests had been there for {1000 * mean:.1f} ms on average "
        f"before {processes} began them, 99 % of them for at most {1000 * p99:.0f} ms{others}. The "
        "wait of a prediction can be held against that.",
    )
