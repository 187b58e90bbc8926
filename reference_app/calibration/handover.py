"""What it costs to hand the GIL over, on this machine.

Threads that compute and sleep by turns keep it busy: nearly always others wait when one lets go of
it, and whoever gets it has to wake up first. What of the time nobody has computed, is that.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

THREADS = 4

#: s that a turn computes, less than the switch interval, and sleeps: the others compute meanwhile.
COMPUTES, SLEEPS = 0.001, 0.0005

#: s that they do so.
DURATION = 0.7


def handover() -> float:
    """How much longer a thread that has waited for the GIL takes to compute, s.

    Measured in a process of its own, in which nobody else wants its GIL.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_idle_time).result()


def _idle_time() -> float:
    """The time for each turn in which none of the threads has computed, s."""
    began = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        turns = sum(pool.map(_turns, [began + DURATION] * THREADS))
    return max(0.0, (time.monotonic() - began) / turns - COMPUTES)


def _turns(end: float) -> int:
    """Compute and sleep until ``end``; how often."""
    turns = 0
    while time.monotonic() < end:
        stop = time.thread_time() + COMPUTES
        while time.thread_time() < stop:
            pass
        turns += 1
        time.sleep(SLEEPS)
    return turns
