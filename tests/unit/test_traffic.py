"""The requests that both interpreters send: the same ones, whatever serves them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate, pairwise

import pytest

from sim.experiment import Arrivals, Experiment, Host, LaunchDarkly, Server, TraceRow, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Rate
from sim.model.simulation import predict
from sim.run import Requests
from sim.run.arrivals import schedule, source, stream

RANDOM_DEMANDS = Traffic(
    rate=100.0, requests=500, io=Distribution("exp", (0.02,)), cpu=Distribution("exp", (0.001,))
)


def asked(requests: Requests) -> tuple[list[float], list[float], list[float]]:
    """What the clients decide: arrivals, I/O and CPU."""
    return list(requests.arrival), list(requests.io), list(requests.cpu)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"server": Server(workers=4, threads=2, reuse_port=True)}, id="server"),
        pytest.param({"host": Host(cores=16)}, id="host"),
        pytest.param({"costs": Costs(request=0.01)}, id="costs"),
        pytest.param({"launchdarkly": LaunchDarkly(enabled=True)}, id="launchdarkly"),
        pytest.param({"replications": 3}, id="replications"),
    ],
)
def test_what_is_asked_does_not_depend_on_who_answers(
    other: dict[str, Server | Host | Costs | LaunchDarkly | int],
) -> None:
    base = Experiment(traffic=RANDOM_DEMANDS)
    changed = replace(base, **other)  # type: ignore[arg-type]
    assert asked(schedule(changed, 0)) == asked(schedule(base, 0))
    assert asked(predict(changed, 0, variant=3).requests) == asked(schedule(base, 0))


@pytest.mark.parametrize(
    ("experiment", "replication"),
    [
        pytest.param(Experiment(traffic=RANDOM_DEMANDS, seed=2), 0, id="seed"),
        pytest.param(Experiment(traffic=RANDOM_DEMANDS), 1, id="replication"),
    ],
)
def test_every_seed_and_replication_has_its_own_draws(
    experiment: Experiment, replication: int
) -> None:
    base = asked(schedule(Experiment(traffic=RANDOM_DEMANDS), 0))
    other = asked(schedule(experiment, replication))
    assert all(mine != theirs for mine, theirs in zip(base, other, strict=True))


def test_each_source_of_randomness_has_its_own_stream() -> None:
    base = schedule(Experiment(traffic=RANDOM_DEMANDS), 0)
    other_io = replace(RANDOM_DEMANDS, io=Distribution("lognorm", (0.02, 2.0)))
    changed = schedule(Experiment(traffic=other_io), 0)
    assert list(changed.arrival) == list(base.arrival)
    assert list(changed.cpu) == list(base.cpu)
    assert list(changed.io) != list(base.io)
    # The means are 20 apart; from one stream, so would be all of the draws.
    assert list(base.cpu) != pytest.approx([io / 20 for io in base.io])


def test_more_requests_begin_with_the_same_ones() -> None:
    longer = schedule(Experiment(traffic=replace(RANDOM_DEMANDS, requests=700)), 0)
    base = schedule(Experiment(traffic=RANDOM_DEMANDS), 0)
    assert [column[:500] for column in asked(longer)] == list(asked(base))


def test_streams_are_the_same_on_every_platform() -> None:
    assert stream(Experiment(), 0, "arrivals").random() == 0.3169197796993223


def test_constant_arrivals_are_evenly_spaced_from_the_start() -> None:
    traffic = Traffic(arrivals="constant", rate=10.0, duration=100.0)
    arrival = schedule(Experiment(traffic=traffic), 0).arrival
    assert list(arrival) == [number / 10.0 for number in range(1_000)]


def test_poisson_arrivals_have_the_rate_and_the_variance_of_their_gaps() -> None:
    traffic = Traffic(rate=50.0, requests=40_000)
    arrival = schedule(Experiment(traffic=traffic), 0).arrival
    gaps = [after - before for before, after in pairwise([0.0, *arrival])]
    mean = math.fsum(gaps) / len(gaps)
    variance = math.fsum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert mean == pytest.approx(1 / 50.0, rel=0.02)
    assert math.sqrt(variance) == pytest.approx(mean, rel=0.03)
    assert min(gaps) >= 0


def test_duration_ends_the_arrivals_and_a_number_of_requests_overrides_it() -> None:
    by_duration = schedule(Experiment(traffic=Traffic(rate=100.0, duration=5.0)), 0)
    assert 400 < len(by_duration) < 600
    assert max(by_duration.arrival) < 5.0
    by_number = schedule(Experiment(traffic=Traffic(rate=100.0, duration=5.0, requests=2_000)), 0)
    assert len(by_number) == 2_000
    assert max(by_number.arrival) > 15.0


# --- disturbances of the rate --------------------------------------------------------------------


def changed(traffic: Traffic, *rates: tuple[float, float]) -> Requests:
    disturbances = tuple(Rate(at, rate) for at, rate in rates)
    return schedule(Experiment(traffic=traffic, disturbances=disturbances), 0)


def test_without_a_change_poisson_gaps_are_drawn_at_the_rate() -> None:
    random = stream(Experiment(), 0, "arrivals")
    expected = list(accumulate(random.expovariate(30.0) for _ in range(1_000)))
    assert list(changed(Traffic(rate=30.0, requests=1_000)).arrival) == expected


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
@pytest.mark.parametrize("at", [0.0, 3.0, 7.7])
def test_a_change_leaves_what_came_before_it_alone(arrivals: Arrivals, at: float) -> None:
    traffic = replace(RANDOM_DEMANDS, arrivals=arrivals, requests=2_000)
    base, other = changed(traffic), changed(traffic, (at, 250.0))
    before = sum(time < at for time in base.arrival)
    assert base.arrival[:before] == other.arrival[:before]
    assert other.arrival[before] >= at
    assert base.arrival[before:] != other.arrival[before:]
    # Who comes asks for the same, at whatever time.
    assert (base.io, base.cpu) == (other.io, other.cpu)


def test_poisson_arrivals_are_one_stream_on_the_clock_of_the_integrated_rate() -> None:
    rates = ((0.0, 20.0), (1.0, 5.0), (4.0, 60.0), (4.5, 8.0))
    traffic = Traffic(rate=20.0, requests=300)

    def integral(time: float) -> float:
        ends = [*(since for since, _ in rates[1:]), math.inf]
        return sum(
            rate * max(0.0, min(time, end) - since)
            for (since, rate), end in zip(rates, ends, strict=True)
        )

    clock = [integral(time) for time in changed(traffic, *rates[1:]).arrival]
    assert clock == pytest.approx([20.0 * time for time in changed(traffic).arrival], rel=1e-9)
    assert clock == sorted(clock)


def test_each_piece_of_poisson_arrivals_has_its_rate() -> None:
    traffic = Traffic(rate=100.0, duration=300.0)
    arrival = changed(traffic, (100.0, 20.0), (200.0, 300.0)).arrival
    for begin, rate in ((0.0, 100.0), (100.0, 20.0), (200.0, 300.0)):
        piece = [time for time in arrival if begin <= time < begin + 100.0]
        assert abs(len(piece) - 100.0 * rate) < 4.0 * math.sqrt(100.0 * rate)
        gaps = [after - before for before, after in pairwise(piece)]
        mean = math.fsum(gaps) / len(gaps)
        deviation = math.sqrt(math.fsum((gap - mean) ** 2 for gap in gaps) / len(gaps))
        assert deviation == pytest.approx(mean, rel=0.1)
    assert max(arrival) < 300.0


def test_constant_arrivals_keep_their_phase_over_a_change() -> None:
    traffic = Traffic(arrivals="constant", rate=10.0, duration=1.2)
    # At 0.25 s half of a gap is over; the other half is twice an eighth of a second.
    arrival = changed(traffic, (0.25, 4.0), (1.0, 10.0)).arrival
    assert list(arrival) == pytest.approx([0.0, 0.1, 0.2, 0.375, 0.625, 0.875, 1.05, 1.15])


def test_of_changes_at_one_time_the_last_one_holds() -> None:
    traffic = Traffic(arrivals="constant", rate=1.0, duration=2.0)
    assert list(changed(traffic, (0.0, 9.0), (0.0, 4.0)).arrival) == [n / 4 for n in range(8)]
    assert list(changed(traffic, (2.0, 9.0)).arrival) == [0.0, 1.0]


def test_the_model_is_sent_the_changed_rate() -> None:
    experiment = Experiment(traffic=Traffic(rate=20.0, duration=4.0), disturbances=(Rate(2.0, 90),))
    run = predict(experiment)
    assert asked(run.requests) == asked(schedule(experiment, 0))
    assert run.events[-1].time == pytest.approx(2.0)
    assert run.events[-1][1:] == ("rate 90", "clients")
    assert experiment.offered_load == 1.0


# --- demands and sources -------------------------------------------------------------------------


def test_demands_have_their_means() -> None:
    traffic = Traffic(
        rate=1.0,
        requests=40_000,
        io=Distribution("lognorm", (0.05, 1.0)),
        cpu=Distribution("bimodal", (0.9, 0.001, 0.011)),
    )
    rows = schedule(Experiment(traffic=traffic), 0)
    assert sum(rows.io) / len(rows) == pytest.approx(0.05, rel=0.02)
    assert sum(rows.cpu) / len(rows) == pytest.approx(0.002, rel=0.03)


def test_a_trace_is_replayed_as_it_is() -> None:
    trace = (TraceRow(0.5, 0.1, 0.0), TraceRow(0.5, 0.2, 0.01), TraceRow(3.0, 0.0, 0.02))
    traffic = Traffic(arrivals="trace", trace=trace, rate=1.0, duration=1.0)
    expected = ([0.5, 0.5, 3.0], [0.1, 0.2, 0.0], [0.0, 0.01, 0.02])
    assert asked(schedule(Experiment(traffic=traffic), 0)) == expected
    assert asked(schedule(Experiment(traffic=traffic, seed=9), 4)) == expected


def test_an_open_loop_does_not_care_for_answers() -> None:
    loop = source(Experiment(traffic=Traffic(arrivals="constant", rate=1.0, requests=2)), 0)
    assert not loop.closed_loop
    assert (loop.due(), loop.take()) == (0.0, (0, 0))
    loop.answered(0, 100.0)
    assert (loop.due(), loop.take()) == (1.0, (1, 0))
    assert loop.due() == math.inf


def test_users_of_a_closed_loop_send_think_time_after_their_answers() -> None:
    traffic = Traffic(
        arrivals="closed", users=2, think=Distribution("const", (1.5,)), duration=10.0
    )
    loop = source(Experiment(traffic=traffic), 0)
    assert loop.closed_loop
    assert sorted((loop.take(), loop.take())) == [(0, 0), (1, 1)]
    assert loop.due() == math.inf
    loop.answered(1, 3.0)
    assert (loop.due(), loop.take()) == (4.5, (2, 1))
    loop.answered(1, 8.4)
    loop.answered(0, 8.0)
    assert (loop.due(), loop.take()) == (9.5, (3, 0))
    assert (loop.due(), loop.take()) == (9.9, (4, 1))
    loop.answered(0, 8.6)  # and 1.5 s are past the duration
    assert loop.due() == math.inf
    assert list(loop.rows.arrival) == [0.0, 0.0, 4.5, 9.5, 9.9]


def test_what_a_user_does_does_not_depend_on_the_others() -> None:
    traffic = replace(RANDOM_DEMANDS, arrivals="closed", users=2)

    def demands(order: list[int]) -> dict[int, list[tuple[float, float]]]:
        loop = source(Experiment(traffic=traffic), 0)
        found: dict[int, list[tuple[float, float]]] = {0: [], 1: []}
        for answered in (None, None, *order):
            if answered is not None:
                loop.answered(answered, 1.0)
            row, user = loop.take()
            found[user].append((loop.rows.io[row], loop.rows.cpu[row]))
        return found

    one = demands([0, 0, 0, 1, 1, 1])
    assert one == demands([1, 0, 1, 0, 1, 0])
    assert one[0] != one[1]


def test_a_closed_loop_ends_after_its_number_of_requests() -> None:
    traffic = Traffic(arrivals="closed", users=5, requests=3)
    loop = source(Experiment(traffic=traffic), 0)
    for _ in range(3):
        loop.take()
    assert loop.due() == math.inf
    assert len(loop.rows) == 3


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_no_request_comes_at_rate_0_and_then_others_do(arrivals: Arrivals) -> None:
    traffic = Traffic(arrivals=arrivals, rate=50.0, duration=30.0)
    arrival = changed(traffic, (10.0, 0.0), (20.0, 50.0)).arrival
    before, after = ([t for t in arrival if (t < 15.0) is early] for early in (True, False))
    assert max(before) < 10.0
    assert min(after) >= 20.0
    assert len(before) == pytest.approx(500, abs=100)
    assert len(after) == pytest.approx(500, abs=100)
    # Nothing that came before knows of it.
    assert before == [time for time in changed(traffic).arrival if time < 10.0]


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_a_last_rate_of_0_ends_the_arrivals_whatever_number_is_asked(arrivals: Arrivals) -> None:
    traffic = Traffic(arrivals=arrivals, rate=50.0, requests=1_000)
    rates = (Rate(10.0, 0.0),)
    experiment = Experiment(traffic=traffic, disturbances=rates)
    assert len(schedule(experiment, 0)) == pytest.approx(500, abs=100)
    assert experiment.expected_requests == 500
    few = replace(experiment, traffic=replace(traffic, requests=100))
    assert few.expected_requests == len(schedule(few, 0)) == 100
    by_time = replace(experiment, traffic=Traffic(arrivals=arrivals, rate=50.0, duration=30.0))
    assert by_time.expected_requests == 500


def test_a_run_without_a_request_is_over_at_once() -> None:
    run = predict(Experiment(disturbances=(Rate(0.0, 0.0),)))
    assert len(run.requests) == 0
