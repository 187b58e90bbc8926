"""Which sleeping worker wins a new connection, in itself and against a real server's shares."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import comb, exp
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.experiment import Experiment, Host, Server, TraceRow, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.model.engine.chance import Chance
from sim.model.fitted.accept_race import (
    APART_AFTER_FINISH,
    APART_OWED,
    APART_OWED_AFTER_ACCEPT,
    APART_OWED_AFTER_FINISH,
    BEFORE_WINNER,
    COLDER,
    DELAY,
    OWED_AFTER_ACCEPT,
    OWED_AFTER_FINISH,
    OWED_AFTER_RELAY,
    REST,
    WARMER,
)
from sim.model.linux import accept_race as wakeup
from sim.model.linux.accept_race import (
    RaceCosts,
    Sleeper,
    winner,
)
from sim.model.simulation import predict

#: Share of connections by boot order, which Gunicorn 27.0.1 had on the machine of
#: `sim.experiment.costs`: gthread with 8 threads, requests of 5 ms of I/O; means over 2 to 9 runs
#: of 300 to 2000 requests, of those in which the workers registered in the order of their forks; by
#: workers and requests/s.
MEASURED = {
    (2, 50): (0.5, 0.5),
    (3, 50): (0.356, 0.234, 0.41),
    (4, 50): (0.293, 0.242, 0.155, 0.308),
    (8, 50): (0.227, 0.187, 0.168, 0.115, 0.083, 0.065, 0.035, 0.125),
    (2, 150): (0.525, 0.475),
    (3, 150): (0.342, 0.331, 0.327),
    (4, 150): (0.31, 0.27, 0.185, 0.235),
}

LATE = Costs().wake_late

#: s after which no rival is warm any more.
LONG = 1.0

probability = st.floats(0.0, 1.0)


#: Of so many boots, in how many the second connection went to the worker that had the first, by
#: workers, and s between the two; the first request slept for longer.
SECOND = {
    (2, 0.004): (1, 16),
    (2, 0.0069): (13, 17),
    (2, 0.009): (38, 40),
    (2, 0.015): (15, 16),
    (2, 0.03): (17, 28),
    (2, 0.06): (13, 16),
    (4, 0.009): (12, 16),
    (4, 0.03): (12, 16),
}


#: Of so many pairs of requests that were due less than 0.75 ms apart, how many went to one worker,
#: by release and workers; two runs each, each request of 5 ms of I/O.
PAIRS = {
    ("23.0.0", 2): (167, 216),
    ("23.0.0", 4): (73, 216),
    ("27.0.1", 2): (126, 216),
    ("27.0.1", 4): (60, 216),
}


def pollers(number: int) -> list[Sleeper]:
    """So many, in the order in which they are woken; they have been awake before."""
    sleeping = [Sleeper() for _ in range(number)]
    for poller in sleeping:
        poller.fresh = False
    return sleeping


def wins(
    sleeping: list[Sleeper],
    costs: Costs,
    *,
    cores: int = 2,
    last: int = -1,
    gap: float = LONG,
    idle: int = 64,
) -> list[float]:
    """How often each place wins, of 20,000 times: chance moves that by 0.01 at most.

    The connection before came at 0 s.
    """
    random, race = Chance(Random(3)), RaceCosts(costs)
    won = Counter(
        winner(sleeping, last, 0.0, gap, cores, race, random, idle=idle) for _ in range(20_000)
    )
    return [won[place] / 20_000 for place in range(len(sleeping))]


def finished(poller: Sleeper, at: float, *, alone: bool) -> None:
    """Let it have finished a request."""
    poller.finished_at, poller.alone = at, alone


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
    number=st.integers(1, 40),
    cores=st.integers(1, 64),
    first=probability,
    owed=probability,
    overtake=probability,
    idle=st.integers(0, 64),
    seed=st.integers(0, 1000),
)
def test_a_poller_that_sleeps_wins(
    number: int,
    cores: int,
    first: float,
    owed: float,
    overtake: float,
    idle: int,
    seed: int,
) -> None:
    costs = RaceCosts(Costs(wake_first=first, wake_owed=owed, wake_overtake=overtake))
    random = Random(seed)
    last = random.randrange(-1, number)
    sleeping = pollers(number)
    for poller in sleeping:
        finished(poller, random.uniform(-1.0, 1.0), alone=random.random() < 0.5)
    assert 0 <= winner(sleeping, last, 0.0, 1.0, cores, costs, Chance(random), idle=idle) < number


#: A machine on which the client's core draws the first poller to itself, always or never.
DRAWN = Costs(wake_affine=1.0)
APART = Costs(wake_affine=0.0)


def first_of_two(owed: float, lost: float = 0.0) -> float:
    """How often the first of two wins that preempts the client so often, and loses then so often.

    It also wins when the other core is late.
    """
    return owed * (1 - lost) + (1 - owed) * LATE


def test_two_pollers_on_two_cores_race() -> None:
    costs = replace(DRAWN, wake_first=0.6, wake_warm=0.5)
    assert wins(pollers(2), costs)[0] == pytest.approx(first_of_two(0.6), abs=0.02)
    # Right after another connection, to preempt the client decides less.
    warm = wins(pollers(2), costs, gap=1e-6)
    assert warm[0] == pytest.approx(first_of_two(0.6, 0.5), abs=0.02)


def test_a_rival_that_has_worked_since_is_quicker_and_one_that_has_not_is_slower() -> None:
    costs = replace(DRAWN, wake_first=1.0, wake_warm=0.8)
    rival = pollers(2)
    finished(rival[1], 0.01, alone=True)
    just_now = wins(rival, costs, gap=0.01)[0]
    assert just_now == pytest.approx(first_of_two(1.0, 0.2 * WARMER), abs=0.02)
    ours = pollers(2)
    finished(ours[0], 0.01, alone=False)
    idle_rival = wins(ours, costs, gap=0.01)[0]
    lost = 0.2 * COLDER * exp(-0.01 / REST)
    assert idle_rival == pytest.approx(first_of_two(OWED_AFTER_RELAY, lost), abs=0.02)


def test_who_has_just_had_its_time_does_not_preempt_the_client() -> None:
    costs = replace(DRAWN, wake_first=1.0, wake_warm=1.0)
    accepted = wins(pollers(2), costs, last=0)[0]
    assert accepted == pytest.approx(first_of_two(OWED_AFTER_ACCEPT), abs=0.02)
    sleeping = pollers(2)
    finished(sleeping[0], 0.5, alone=True)
    alone = wins(sleeping, costs, last=0)[0]
    assert alone == pytest.approx(first_of_two(OWED_AFTER_FINISH), abs=0.02)
    # Its thread went on with a request that waited: it had to wait for a core.
    finished(sleeping[0], 0.5, alone=False)
    relayed = wins(sleeping, costs, last=0)[0]
    assert relayed == pytest.approx(first_of_two(OWED_AFTER_RELAY), abs=0.02)


def test_whoever_is_owed_time_on_the_clients_core_preempts_the_client() -> None:
    # The third stays on either core, as likely; if it is on the client's, it always preempts it.
    costs = replace(DRAWN, wake_first=0.0, wake_owed=1.0, wake_overtake=1.0, wake_warm=1.0)
    first, second, third = wins(pollers(3), costs)
    # What is left of the client's lead is a little less with every poller that it wakes.
    ahead, behind = 0.5 * LATE, 0.5 * (1 - exp(-DELAY))
    assert first == pytest.approx(ahead, abs=0.02)
    assert second == pytest.approx(behind, abs=0.02)
    assert third == pytest.approx(1 - ahead - behind, abs=0.02)


#: On such a machine nothing is left to the order in which pollers that are owed time run.
IN_ORDER = replace(APART, wake_warm=1.0)


@pytest.fixture
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pollers that are owed time, those that are woken later run first."""
    monkeypatch.setattr(wakeup, "APART_OVERTAKE", 1.0)


@pytest.mark.usefixtures("in_order")
def test_a_poller_that_the_client_does_not_draw_is_the_first_on_an_idle_core() -> None:
    # The second stays: on the client's core it preempts it, on the other it comes first.
    assert wins(pollers(2), IN_ORDER)[1] == pytest.approx(APART_OWED, abs=0.02)
    # Of three the last does, unless the second is on the client's core without it.
    third = APART_OWED * (1 - 0.5 * 0.5 * APART_OWED)
    assert wins(pollers(3), IN_ORDER)[2] == pytest.approx(third, abs=0.02)


@pytest.mark.usefixtures("in_order")
def test_a_poller_that_is_not_drawn_and_has_worked_since_is_owed_less() -> None:
    accepted = wins(pollers(2), IN_ORDER, last=1)[1]
    owed = (APART_OWED + APART_OWED_AFTER_ACCEPT) / 2
    assert accepted == pytest.approx(owed, abs=0.02)
    sleeping = pollers(2)
    finished(sleeping[1], 0.5, alone=True)
    assert wins(sleeping, IN_ORDER)[1] == pytest.approx(APART_OWED_AFTER_FINISH, abs=0.02)
    # On another core it comes first; on the client's, where it rarely is then, it loses to a rival
    # that has just worked.
    finished(sleeping[1], 0.5, alone=False)
    finished(sleeping[0], 1.0, alone=True)
    relayed = wins(sleeping, replace(IN_ORDER, wake_warm=0.0))[1]
    lost = OWED_AFTER_RELAY * 0.5 * APART_AFTER_FINISH
    assert relayed == pytest.approx(OWED_AFTER_RELAY - lost, abs=0.02)


@pytest.mark.parametrize(("number", "of"), [(8, 2), (8, 4), (5, 64), (200, 64)])
def test_each_poller_has_run_on_each_core_as_often(number: int, of: int) -> None:
    random, draws = Chance(Random(1)), 20_000
    counts = Counter[int]()
    for _ in range(draws):
        bits = wakeup._bits(number, of, random)
        counts.update(place for place in range(bits.bit_length()) if bits >> place & 1)
    # Five standard deviations of a binomial count.
    chance = 1 / of
    margin = 5 * (draws * chance * (1 - chance)) ** 0.5
    assert set(counts) == set(range(number))
    assert all(abs(count - draws * chance) < margin for count in counts.values())


def test_one_core_runs_its_queue_in_order_unless_somebody_is_owed_time() -> None:
    assert wins(pollers(4), Costs(wake_owed=0.0), cores=1) == [1.0, 0.0, 0.0, 0.0]
    half = wins(pollers(4), Costs(wake_owed=0.5, wake_overtake=1.0), cores=1)
    assert half == pytest.approx([0.125, 0.125, 0.25, 0.5], abs=0.02)


def test_the_clients_core_wins_where_no_other_idles() -> None:
    # The second would be sent to a core that idles; now it stays like all others.
    costs = Costs(wake_owed=0.0)
    assert wins(pollers(4), costs, idle=0) == [1.0, 0.0, 0.0, 0.0]
    stays = wins(pollers(2), Costs(wake_first=0.0, wake_owed=1.0), idle=0)
    assert stays == pytest.approx([0.5, 0.5], abs=0.02)


def test_only_cores_that_idle_are_sent_a_poller() -> None:
    # Nobody preempts the client, and none of the others is owed time: whoever is sent wins.
    costs = replace(DRAWN, wake_first=0.0, wake_owed=0.0, wake_late=0.0)
    sent = wins(pollers(8), costs, cores=4, idle=1)
    assert sent[1] == 1.0
    assert wins(pollers(8), costs, cores=4)[1:4] == pytest.approx([1 / 3] * 3, abs=0.02)
    # More cores than pollers: one is for each of those that are left.
    assert wins(pollers(3), costs, cores=64)[1:] == pytest.approx([0.5] * 2, abs=0.02)


@pytest.mark.parametrize("number", [2, 3, 4, 8, 16, 52, 200])
def test_a_race_is_lost_more_often_with_more_pollers_and_never_for_certain(number: int) -> None:
    # After a rest, nothing but the client's waking of all others makes the preempting poller lose.
    sleeping, random = pollers(number), Chance(Random(5))
    race = RaceCosts(replace(Costs(), wake_warm=1.0))
    lost = sum(
        wakeup._overtaken(0, 1, sleeping, -1, 0.0, LONG, race, random) for _ in range(20_000)
    )
    assert lost / 20_000 == pytest.approx(1 - exp(-DELAY * (number - 2)), abs=0.015)
    if number <= 8:
        # What was fitted: 0.02 for each poller more.
        assert lost / 20_000 == pytest.approx(0.02 * (number - 2), abs=0.015)


def test_the_last_to_register_is_woken_first() -> None:
    # On one core where nobody is owed time, the first to be woken wins every time.
    server = Server(workers=4, threads=8)
    assert shares(server, 5.0, Host(cores=1), wake_owed=0.0)[3] > 0.9


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
    server = Server(workers=4, threads=8, preload_app=True)
    assert shares(server, 150)[2] > shares(server, 12)[2] + 0.05


def test_sync_workers_share_evenly() -> None:
    # They sleep in `select()`, and measured shares differ by chance only.
    assert shares(Server(workers=4), 50) == pytest.approx([0.25] * 4, abs=0.03)


@pytest.mark.parametrize(("workers", "gap"), SECOND)
def test_who_gets_the_second_connection_after_a_boot(workers: int, gap: float) -> None:
    """The worker of the first has copied its pages; the others have yet to."""
    rows = (TraceRow(0.0, 0.1, 0.0), TraceRow(gap, 0.1, 0.0))
    asked = Experiment(
        server=Server(workers=workers, threads=4, worker_class="gthread", preload_app=True),
        traffic=Traffic(arrivals="trace", trace=rows),
    )
    ours = [predict(asked, variant=variant).requests.worker for variant in range(200)]
    assert {worker for worker, _ in ours} == {workers}
    same, boots = SECOND[workers, gap]
    predicted = sum(first == second for first, second in ours) / len(ours)
    # All of them together raise a false alarm once in twenty.
    assert as_often(same, boots, predicted) > 0.05 / len(SECOND)


def as_often(found: int, of: int, chance: float) -> float:
    """The exact binomial test: how likely a count is that is as unlikely as ``found``, or more."""
    likely = [comb(of, k) * chance**k * (1 - chance) ** (of - k) for k in range(of + 1)]
    return sum(one for one in likely if one <= likely[found] * (1 + 1e-9))


@pytest.mark.parametrize(("release", "workers"), PAIRS)
def test_who_gets_a_connection_right_after_another(release: str, workers: int) -> None:
    """The client has one core, and the worker of the first connection the other."""
    random = Random(5)
    rows: list[TraceRow] = []
    for number in range(400):
        first = 0.5 + 0.045 * number + 0.01 * random.random()
        rows += [TraceRow(due, 0.005, 0.0) for due in (first, first + 0.00075 * random.random())]
    server = Server(
        workers=workers, threads=2, worker_class="gthread", preload_app=True, gunicorn=release
    )
    asked = Experiment(server=server, traffic=Traffic(arrivals="trace", trace=tuple(rows)))
    ours = predict(asked, variant=0).requests.worker
    together = [first == second for first, second in zip(ours[::2], ours[1::2], strict=True)]
    same, pairs = PAIRS[release, workers]
    predicted, chance = sum(together) / len(together), same / pairs
    error = (chance * (1 - chance) * (1 / pairs + 1 / len(together))) ** 0.5
    # All four together raise a false alarm once in a hundred: 3 standard errors of both.
    assert predicted == pytest.approx(chance, abs=3 * error)


@pytest.mark.parametrize(
    ("sleeping", "last", "drawn", "others"),
    [
        (1, -1, False, [0]),
        (2, 0, False, [1]),
        (4, 2, True, [1, 3]),
        (2, 1, True, []),
        (0, -1, False, []),
    ],
)
def test_any_other_poller_may_come_before_the_winner(
    sleeping: int, last: int, drawn: bool, others: list[int]
) -> None:
    """The first does not that the client has drawn to its core, where it waits for the client."""
    chance = Chance(Random(3))
    draws = Counter(wakeup.before_winner(sleeping, last, chance, drawn=drawn) for _ in range(4000))
    left = 1.0
    for place in others:
        assert draws[place] / 4000 == pytest.approx(left * BEFORE_WINNER, abs=0.03)
        left *= 1 - BEFORE_WINNER
    assert draws[-1] / 4000 == pytest.approx(left, abs=0.03)
    assert set(draws) == {-1, *others}
