"""Waking up takes the longer, and a step costs the more, the longer none of its kind has run."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sim.experiment import Experiment, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.model.caches.pace import Pace
from sim.model.simulation import predict

COSTS = replace(Costs(), warm=0.25, cooling=0.01)


def test_the_first_step_is_cold() -> None:
    assert Pace(COSTS).step(0.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("idle", "part"), [(0.0, 0.25), (0.01, 0.625), (0.03, 0.8125)])
def test_half_of_the_difference_is_lost_after_cooling(idle: float, part: float) -> None:
    pace = Pace(COSTS)
    pace.step(1.0)
    assert pace.at(1.0 + idle) == pytest.approx(part)
    assert pace.step(1.0 + idle) == pytest.approx(part)


@pytest.mark.parametrize(("warm", "part"), [(1.0, 1.0), (0.0, 0.0)])
def test_without_cooling_only_what_runs_at_once_is_warm(warm: float, part: float) -> None:
    pace = Pace(replace(COSTS, warm=warm, cooling=0.0))
    pace.step(1.0)
    assert pace.at(1.001) == pytest.approx(1.0)
    assert pace.step(1.0) == part


def test_a_step_that_is_noted_late_is_warm_and_hides_none_after_it() -> None:
    """A response is noted when its worker has finished with it, and others were sent meanwhile."""
    pace = Pace(COSTS)
    pace.step(2.0)
    assert pace.step(1.98) == pytest.approx(0.25)
    assert pace.step(2.01) == pytest.approx(0.625)


def start_latency(rate: float, warm: float, cached: float) -> float:
    traffic = Traffic(
        arrivals="constant", rate=rate, requests=50, io=Distribution("const", (0.0001,))
    )
    server = Server(threads=2, worker_class="gthread")
    costs = replace(
        Costs(), warm=warm, cooling=0.01, cached=cached, cached_elsewhere=1.0, eviction=0.005
    )
    rows = list(predict(Experiment(server=server, traffic=traffic, costs=costs)).requests)
    return rows[-1].started - rows[-1].arrival


def test_a_busy_server_is_quicker_than_an_idle_one() -> None:
    wakes, computes = Costs().connect, Costs().accept + Costs().request
    cold = wakes + computes
    assert start_latency(rate=0.1, warm=0.25, cached=0.4) == pytest.approx(cold, rel=0.01)
    # 10 ms apart: half of the difference is lost of the one, 1 - exp(-2) of the other.
    busy = 0.625 * wakes + (1 - 0.6 * math.exp(-2)) * computes
    assert start_latency(rate=100.0, warm=0.25, cached=0.4) == pytest.approx(busy, rel=0.01)
    assert start_latency(rate=100.0, warm=1.0, cached=1.0) == pytest.approx(cold, rel=0.01)
