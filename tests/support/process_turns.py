"""Measures how processes that sleep and compute by turns share the cores, without Gunicorn.

``python tests/support/process_turns.py`` takes a minute and prints what `MEASURED`
holds; the machine must be quiet.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from random import Random
from statistics import mean, quantiles

#: Of so many processes that sleep and compute so many ms: computations/s of all, and the mean, the
#: median and the 95th percentile of the ms from when one was due, wake-up and all, until it was
#: over. The middle of two runs, which differed by 2 % at most, but where 3 compute (6 %).
MEASURED = [
    ((2, 12.5, 12.5), (78.5, 12.7, 12.65, 12.75)),
    ((3, 12.5, 12.5), (107.2, 15.2, 12.85, 23.1)),
    ((4, 12.5, 12.5), (128.7, 18.4, 18.45, 25.8)),
    ((6, 12.5, 12.5), (151.3, 26.9, 27.3, 37.55)),
    ((4, 25.0, 12.5), (97.3, 15.8, 14.05, 23.5)),
    ((3, 5.0, 25.0), (74.2, 35.3, 34.75, 48.8)),
    ((4, 10.0, 3.0), (288.0, 3.8, 3.1, 5.9)),
]

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
