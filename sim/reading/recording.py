"""A recording of demand: the columns of its lines, which are written and read apart.

A recording is CSV. A line that is a header says which columns the lines below it have; the file
begins with one, and a process that goes on with a file of another release writes its own.
"""

from __future__ import annotations

from typing import Final

#: The first column, by which a recording is told from other files: when a thread, a greenlet or a
#: task began the request, s since the epoch.
FIRST: Final = "recorded_s"

#: Columns of a line: ``io_s`` and ``cpu_s`` are what the request waited and computed, ``wait_s``
#: what it waited before (empty where that is not known), ``worker`` the process, ``path`` the path
#: without its query.
COLUMNS: Final = (FIRST, "io_s", "cpu_s", "wait_s", "worker", "path")

HEADER: Final = ",".join(COLUMNS)

#: Columns without wait and process, which are read as well.
SHORT: Final = (FIRST, "io_s", "cpu_s", "path")

#: The columns of the lines below a header, by the header.
HEADERS: Final = {",".join(columns): columns for columns in (COLUMNS, SHORT)}
