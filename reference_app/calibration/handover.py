"""The cost of handing the GIL over, on this machine.

Threads that compute and sleep by turns keep the GIL busy. When one of them drops it, another nearly
always waits for it, and has to wake up first. The time in which no thread computes is that cost.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

THREADS = 4

#: Time (s) that a turn computes, less than the switch interval, and sleeps while others compute.
COMPUTES, SLEEPS = 0.001, 0.0005

#: Time (s) that all threads take turns.
DURATION = 0.7


def handover() -> float:
    """Extra time (s) that a thread which has waited for the GIL takes to compute.

    It is measured in a process of its own, where no other thread wants the GIL.
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
    """Compute and sleep until ``end``; return the number of turns."""
    turns = 0
    while time.monotonic() < end:
        stop = time.thread_time() + COMPUTES
        while time.thread_time() < stop:
            pass
        turns += 1
        time.sleep(SLEEPS)
    return turns
