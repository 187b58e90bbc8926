"""When a process was made."""

from __future__ import annotations

import os
import time
from pathlib import Path


def process_start(pid: int) -> float:
    """When a process was made, CLOCK_MONOTONIC s, to a clock tick (10 ms).

    psutil knows it too, but rounds the machine's boot, which it counts from, to whole seconds.
    """
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    ticks = int(stat.rpartition(")")[2].split()[19])
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    return ticks / os.sysconf("SC_CLK_TCK") - asleep
