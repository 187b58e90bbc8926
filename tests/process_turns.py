"""Measures how processes that sleep and compute by turns share the cores, without Gunicorn.

``python tests/process_turns.py`` takes a minute and prints what `test_cores.MEASURED` holds; the
machine must be quiet.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from random import Random
from statistics import mean, quantiles

from test_cores import MEASURED

#: s that each is measured.
DURATION = 8.0


def turns(seed: int, sleeps: float, computes: float) -> list[float]:
    """From when each computation of one process was due, which sleeps and computes so many ms."""
    random = Random(seed)
    took: list[float] = []
    end = time.monotonic() + DURATION
    while time.monotonic() < end:
        sleep = random.expovariate(1 / sleeps) / 1000
        due = time.monotonic() + sleep
        time.sleep(sleep)
        stop = time.thread_time() + computes / 1000
        while time.thread_time() < stop:
            pass
        took.append(1000 * (time.monotonic() - due))
    return took


def main() -> None:
    """Print computations/s, and the mean, the median and the 95th percentile of their ms."""
    for (number, sleeps, computes), _ in MEASURED:
        with ProcessPoolExecutor(number) as pool:
            each = [pool.submit(turns, seed, sleeps, computes) for seed in range(number)]
            took = [ms for process in each for ms in process.result()]
        percentiles = quantiles(took, n=20)
        sys.stdout.write(
            f"{number} processes, {sleeps} and {computes} ms: {len(took) / DURATION:.1f}/s, "
            f"{mean(took):.2f}, {percentiles[9]:.1f}, {percentiles[18]:.1f} ms\n"
        )


if __name__ == "__main__":
    main()
