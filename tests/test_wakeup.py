"""Which sleeping worker wins a new connection, in itself and against a real server's shares."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.costs import Costs
from sim.distribution import Distribution
from sim.experiment import Experiment, Host, Server, Traffic
from sim.model.simulation import predict
from sim.model.wakeup import LAST_OVERTAKES, winning_probabilities

#: Share of connections by boot order, which Gunicorn 27.0.1 had on a machine with two cores,
#: Measured on the machine of `sim.costs`: gthread with 8 threads, requests of 5 ms of I/O; mean
#: share by boot order over 2 to 14 runs of 400 to 1500 requests; by workers and requests / s.
MEASURED = {
    (2, 50): (0.51, 0.49),
    (3, 50): (0.29, 0.245, 0.463),
    (4, 50): (0.247, 0.218, 0.151, 0.384),
    (8, 50): (0.185, 0.182, 0.146, 0.12, 0.088, 0.081, 0.05, 0.15),
    (2, 150): (0.67, 0.33),
    (4, 150): (0.25, 0.22, 0.29, 0.24),
}

probability = st.floats(0.0, 1.0)


def shares(server: Server, rate: float, host: Host | None = None, **costs: float) -> list[float]:
    """The predicted shares by boot order; long enough that chance moves them by 0.02 at most."""
    traffic = Traffic(rate=rate, requests=6_000, io=Distribution("const", (0.005,)))
    asked = Experiment(
        server=server, host=host or Host(), traffic=traffic, costs=replace(Costs(), **costs)
    )
    by_worker = Counter(predict(asked).requests.worker)
    return [by_worker[order] / 6_000 for order in range(1, server.workers + 1)]


@settings(max_examples=200, derandomize=True)
@given(
    pollers=st.integers(1, 40),
    cores=st.integers(1, 64),
    alone=probability,
    queued=probability,
    overtake=probability,
    warm=probability,
    rest=probability,
)
def test_someone_wins(
    pollers: int,
    cores: int,
    alone: float,
    queued: float,
    overtake: float,
    warm: float,
    rest: float,
) -> None:
    costs = Costs(wake_alone=alone, wake_queued=queued, wake_overtake=overtake, wake_warm=warm)
    chances = winning_probabilities(pollers, cores, costs, rest=rest)
    assert len(chances) == pollers
    assert chances[0] >= 0
    assert all(before <= after + 1e-12 for before, after in pairwise(chances))
    assert chances[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("rest", [0.0, 1.0])
def test_a_single_poller_wins(rest: float) -> None:
    assert winning_probabilities(1, 2, Costs(), rest=rest) == pytest.approx((1.0,))


def test_two_pollers_on_two_cores_race() -> None:
    costs = Costs(wake_alone=0.6, wake_warm=0.5)
    assert winning_probabilities(2, 2, costs, rest=1.0) == pytest.approx((0.6, 1.0))
    # The first to be woken is on the client's core, whose lead counts for less by then.
    assert winning_probabilities(2, 2, costs, rest=0.0) == pytest.approx((0.3, 1.0))


def test_the_clients_core_wins_less_where_nobody_is_queued_behind_its_own() -> None:
    costs = Costs(wake_alone=0.2, wake_queued=1.0, wake_overtake=0.0)
    # The third stays on either core, as likely.
    first, second, _ = winning_probabilities(3, 2, costs, rest=1.0)
    assert (first, second) == pytest.approx((0.6, 1.0))


def test_one_core_runs_its_queue_in_order_unless_somebody_overtakes() -> None:
    never = winning_probabilities(4, 1, Costs(wake_overtake=0.0), rest=1.0)
    assert never == pytest.approx((1.0, 1.0, 1.0, 1.0))
    half = winning_probabilities(4, 1, Costs(wake_overtake=0.5), rest=1.0)
    last = 0.5 * LAST_OVERTAKES
    assert half == pytest.approx((0.25 * (1 - last), 0.5 * (1 - last), 1 - last, 1.0))


def test_the_last_to_register_is_woken_first() -> None:
    # On one core without overtaking, the first to be woken wins every time.
    server = Server(workers=4, threads=8)
    assert shares(server, 5.0, Host(cores=1), wake_overtake=0.0)[3] > 0.9


@pytest.mark.parametrize(
    ("workers", "rate"),
    MEASURED,
    ids=[f"{workers} workers, {rate} per s" for workers, rate in MEASURED],
)
def test_shares_are_those_of_a_real_server(workers: int, rate: int) -> None:
    # With an application that is preloaded, workers register in the order of their forks.
    predicted = shares(Server(workers=workers, threads=8, preload_app=True), rate)
    assert sum(predicted) == pytest.approx(1.0)
    # At high rates the real shares themselves move by 0.1 from run to run.
    assert predicted == pytest.approx(
        list(MEASURED[workers, rate]), abs=0.05 if rate == 50 else 0.1
    )


def test_shares_move_with_the_load() -> None:
    server = Server(workers=2, threads=8)
    assert shares(server, 150)[0] > shares(server, 50)[0] + 0.05


def test_sync_workers_share_evenly() -> None:
    # They sleep in `select()`, and measured shares differ by chance only.
    assert shares(Server(workers=4), 50) == pytest.approx([0.25] * 4, abs=0.03)
