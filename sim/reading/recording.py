"""A recording of demand: the columns of its lines, which are written and read apart.

A recording is CSV. A header line says which columns the lines below it have. The file begins with
one, and a process that goes on with a file of another release writes its own.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Columns(NamedTuple):
    """The columns below a header.

    Attributes:
        names: of the columns.
        unit: of the first three (when a thread, a greenlet or a task began the request, since the
            epoch; what the request waited, and what it computed, since then), s.
        wait: the column that has what the request waited before; None where none has.
        wait_unit: of that, s.
        worker: the column that has the process; None where none has.
    """

    names: tuple[str, ...]
    unit: float
    wait: int | None = None
    wait_unit: float = 1.0
    worker: int | None = None


#: What is written. Whole numbers: it takes half of the time that fractions take. The wait is empty
#: where it is not known; the path is without its query.
COLUMNS: Final = Columns(
    ("recorded_ns", "io_ns", "cpu_ns", "wait_ms", "worker", "path"),
    unit=1e-9,
    wait=3,
    wait_unit=1e-3,
    worker=4,
)

HEADER: Final = ",".join(COLUMNS.names)

#: Columns of earlier releases, which are read as well.
EARLIER: Final = (
    Columns(
        ("recorded_s", "io_s", "cpu_s", "wait_s", "worker", "path"), unit=1.0, wait=3, worker=4
    ),
    Columns(("recorded_s", "io_s", "cpu_s", "path"), unit=1.0),
)

#: The columns of the lines below a header, by the header.
HEADERS: Final = {",".join(columns.names): columns for columns in (COLUMNS, *EARLIER)}
