"""How often a load balancer answers 502 because Gunicorn closes an idle connection, predicted.

At each rate, and with each ``keepalive`` of Gunicorn's, the same service is predicted with many
independent runs; the 502 of each run are counted. Requests of a GET take 50 ms on average, and
nothing else goes wrong.

``python -m site_docs bad-gateways`` writes ``data/bad-gateways.json``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sim.errors import ExperimentError
from sim.experiment import Experiment, Proxy, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from sim.run import BAD_GATEWAY, OK
from sim.whole_file import whole_file

FILE: Final = Path(__file__).parents[1] / "data" / "bad-gateways.json"

SCHEMA: Final = "gunicorn-bad-gateways/1"

#: Rates, requests / s, and Gunicorn's ``keepalive``, s. The load balancer's idle timeout is 60 s.
RATES: Final = (0.5, 2.0, 5.0, 20.0, 60.0)
KEEPALIVES: Final = (2, 5, 65, 75)

#: Independent runs of a cell, and requests of each.
RUNS: Final = 20
REQUESTS: Final = 50_000

#: s of a day.
DAY: Final = 86_400

#: Both ends of the interval together are exceeded by chance so rarely.
BEYOND: Final = 0.05


@dataclass(frozen=True, slots=True)
class Cell:
    """One rate with one ``keepalive``.

    Attributes:
        rate: requests / s.
        keepalive: Gunicorn's, s.
        requests: of each run.
        bad_gateways: requests of each run that got a 502.
    """

    rate: float
    keepalive: int
    requests: int
    bad_gateways: tuple[int, ...]

    @property
    def total(self) -> int:
        """Requests of all runs."""
        return self.requests * len(self.bad_gateways)

    def a_day(self, count: float) -> float:
        """So many of all requests, as a number a day at this rate."""
        return count / self.total * self.rate * DAY

    @property
    def daily(self) -> float:
        """502 a day."""
        return self.a_day(sum(self.bad_gateways))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of `daily`."""
        low, high = poisson_interval(sum(self.bad_gateways))
        return self.a_day(low), self.a_day(high)


def experiment(rate: float, keepalive: int) -> Experiment:
    """A load balancer in front of 2 workers with 4 threads each."""
    return Experiment(
        Server(workers=2, threads=4, keepalive=keepalive),
        traffic=Traffic(rate=rate, requests=REQUESTS, io=Distribution("exp", (0.05,))),
        proxy=Proxy(kind="alb"),
        replications=RUNS,
    )


def bad_gateways(rate: float, keepalive: int, replication: int) -> int:
    """Requests of one run that get a 502; every other one is answered."""
    outcome = predict(experiment(rate, keepalive), replication).requests.outcome
    count = outcome.count(BAD_GATEWAY)
    assert outcome.count(OK) + count == REQUESTS, "nothing else goes wrong"
    return count


def document(executor: Executor, done: Callable[[int], None]) -> dict[str, Any]:
    """All cells as a document; ``done`` is told how many runs there are so far."""
    cells = [(rate, keepalive) for keepalive in KEEPALIVES for rate in RATES]
    futures = [executor.submit(bad_gateways, *cell, run) for cell in cells for run in range(RUNS)]
    counts = []
    for number, future in enumerate(futures, start=1):
        counts.append(future.result())
        done(number)
    return {
        "schema": SCHEMA,
        "requests": REQUESTS,
        "cells": [
            {
                "rate": rate,
                "keepalive": keepalive,
                "bad_gateways": counts[place * RUNS : (place + 1) * RUNS],
            }
            for place, (rate, keepalive) in enumerate(cells)
        ],
    }


def write(found: dict[str, Any], path: Path = FILE) -> None:
    """Write the file, a line for each cell.

    Raises:
        ExperimentError: when it cannot be written.
    """
    cells = ",\n  ".join(json.dumps(cell) for cell in found["cells"])
    head = f' "schema": "{found["schema"]}",\n "requests": {found["requests"]},'
    with whole_file(path) as file:
        file.write(f'{{\n{head}\n "cells": [\n  {cells}\n ]\n}}\n')


def read_file(path: Path = FILE) -> tuple[Cell, ...]:
    """The cells of the file.

    Raises:
        ExperimentError: when it cannot be read, or has other cells than those of today.
    """
    expected = f"expected what python -m site_docs bad-gateways writes to {FILE.name}"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        cells = tuple(
            Cell(
                cell["rate"],
                cell["keepalive"],
                found["requests"],
                tuple(map(int, cell["bad_gateways"])),
            )
            for cell in found["cells"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{path}: cannot be read ({error!r}); {expected}") from None
    known = [(rate, keepalive) for keepalive in KEEPALIVES for rate in RATES]
    if [(cell.rate, cell.keepalive) for cell in cells] != known:
        raise ExperimentError(f"{path}: has other rates or keepalives; {expected}")
    if any((cell.requests, len(cell.bad_gateways)) != (REQUESTS, RUNS) for cell in cells):
        raise ExperimentError(f"{path}: has not {RUNS} runs of {REQUESTS} requests; {expected}")
    return cells


def poisson_interval(count: int, beyond: float = BEYOND) -> tuple[float, float]:
    """Confidence interval of the mean of a Poisson variable that was seen once.

    Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936): the means under
    which so many or more, and so few or less, come with a probability of ``beyond / 2`` each. The
    lower end of none is 0.
    """
    low = _mean_where(count - 1, 1 - beyond / 2) if count else 0.0
    return low, _mean_where(count, beyond / 2)


def _mean_where(count: int, probability: float) -> float:
    """The mean under which ``count`` or fewer come with this probability, by bisection."""
    low, high = 0.0, count + 10.0 * math.sqrt(count + 1.0) + 10.0
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if _at_most(count, middle) > probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _at_most(count: int, mean: float) -> float:
    """Probability that a Poisson variable with this mean is ``count`` or less."""
    return math.fsum(
        math.exp(number * math.log(mean) - mean - math.lgamma(number + 1))
        for number in range(count + 1)
    )
