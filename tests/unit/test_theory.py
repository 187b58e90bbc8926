"""The closed forms against published values and against each other."""

import math

import pytest

from sim.analysis import theory


@pytest.mark.parametrize(
    ("servers", "load", "expected"),
    [
        (1, 1.0, 0.5),
        (2, 1.0, 0.2),  # (1/2) / (1 + 1 + 1/2)
        (10, 5.0, 0.018385),  # Erlang B tables
        (100, 100.0, 0.075700),
    ],
)
def test_erlang_b_is_the_tables(servers: int, load: float, expected: float) -> None:
    assert theory.erlang_b(servers, load) == pytest.approx(expected, rel=1e-4)


def test_erlang_c_is_the_textbook_sum() -> None:
    servers, load = 4, 2.8
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    first = sum(load**k / math.factorial(k) for k in range(servers))
    assert theory.erlang_c(servers, load) == pytest.approx(last / (first + last), rel=1e-12)


def test_erlang_c_of_one_server_is_its_utilization() -> None:
    assert theory.erlang_c(1, 0.7) == pytest.approx(0.7)


def test_erlang_is_stable_where_factorials_overflow() -> None:
    # Halfin and Whitt (1981): with c = load + beta sqrt(load), P(wait) tends to
    # 1 / (1 + beta Phi(beta) / phi(beta)).
    servers, beta = 100_000, 1.0
    load = servers - beta * math.sqrt(servers)
    phi = math.exp(-0.5) / math.sqrt(2 * math.pi)
    below = 0.5 * (1 + math.erf(1 / math.sqrt(2)))
    limit = 1 / (1 + beta * below / phi)
    assert theory.erlang_c(servers, load) == pytest.approx(limit, rel=0.01)


def test_mm1_is_the_special_case_of_mmc_and_of_mg1() -> None:
    rate, service = 14.0, 0.05
    wait = 0.7 / (20 - 14)  # rho / (mu - lambda)
    assert theory.mmc_mean_wait(rate, service, 1) == pytest.approx(wait)
    assert theory.mg1_mean_wait(rate, service, 2 * service**2) == pytest.approx(wait)
    assert theory.mmc_mean_sojourn(rate, service, 1) == pytest.approx(1 / (20 - 14))


def test_constant_service_halves_the_wait() -> None:
    exponential = theory.mmc_mean_wait(14.0, 0.05, 1)
    assert theory.md1_mean_wait(14.0, 0.05) == pytest.approx(exponential / 2)


def test_mean_queue_is_littles_law() -> None:
    # rho^2 / (1 - rho) wait in M/M/1.
    assert theory.mmc_mean_queue(14.0, 0.05, 1) == pytest.approx(0.49 / 0.3)


def test_wait_quantiles_invert_the_tail() -> None:
    rate, service, servers = 56.0, 0.05, 4
    t = theory.mmc_wait_quantile(rate, service, servers, 0.95)
    tail = theory.erlang_c(servers, rate * service) * math.exp(-(servers / service - rate) * t)
    assert tail == pytest.approx(0.05)
    assert theory.mmc_wait_quantile(rate, service, servers, 0.5) == 0.0


def test_sojourn_median_of_mm1() -> None:
    assert theory.mm1_sojourn_quantile(14.0, 0.05, 0.5) == pytest.approx(math.log(2) / 6)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        (1, 12.7062),
        (2, 4.30265),
        (3, 3.18245),
        (4, 2.77645),
        (9, 2.26216),
        (29, 2.04523),
        (100, 1.98397),
        (9999, 1.96020),
    ],
)
def test_student_t_is_the_tables(degrees: int, expected: float) -> None:
    assert theory.student_t_quantile(0.975, degrees) == pytest.approx(expected, abs=1e-4)


def test_student_t_of_other_probabilities() -> None:
    assert theory.student_t_quantile(0.95, 9) == pytest.approx(1.83311, abs=1e-4)
    assert theory.student_t_quantile(0.995, 10) == pytest.approx(3.16927, abs=1e-4)


def test_a_queue_that_grows_for_ever_has_no_mean() -> None:
    message = r"4 erlang on 4 servers, utilization 1; expected a utilization below 1"
    with pytest.raises(ValueError, match=message):
        theory.mmc_mean_wait(80.0, 0.05, 4)
    with pytest.raises(ValueError, match="utilization 1"):
        theory.md1_mean_wait(20.0, 0.05)
    with pytest.raises(ValueError, match="utilization 1"):
        theory.mm1_sojourn_quantile(21.0, 0.05, 0.5)


@pytest.mark.parametrize("degrees", [1, 2, 9, 10, 99])
@pytest.mark.parametrize("probability", [0.6, 0.95, 0.975, 0.999])
def test_the_probability_of_a_quantile_is_its_own(degrees: int, probability: float) -> None:
    value = theory.student_t_quantile(probability, degrees)
    assert theory.student_t_probability(value, degrees) == pytest.approx(probability, abs=1e-12)
    assert theory.student_t_probability(-value, degrees) == pytest.approx(
        1 - probability, abs=1e-12
    )
    assert theory.student_t_probability(0.0, degrees) == 0.5


def test_arguments_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="servers is 0"):
        theory.erlang_b(0, 1.0)
    with pytest.raises(ValueError, match=r"rate is -1\.0 requests / s"):
        theory.mmc_mean_wait(-1.0, 0.05, 4)
    with pytest.raises(ValueError, match="service time is nan s"):
        theory.mmc_mean_wait(1.0, math.nan, 4)
    for probability in (0, 1):
        with pytest.raises(ValueError, match=f"probability is {probability}; expected"):
            theory.mmc_wait_quantile(10.0, 0.05, 1, probability)
    with pytest.raises(ValueError, match=r"square of the mean service time, 0\.0025 s\^2"):
        theory.mg1_mean_wait(10.0, 0.05, 0.001)
    with pytest.raises(ValueError, match="degrees of freedom is 0"):
        theory.student_t_quantile(0.975, 0)
    with pytest.raises(ValueError, match=r"probability is 0\.5"):
        theory.student_t_quantile(0.5, 9)
    with pytest.raises(ValueError, match="degrees of freedom is 0"):
        theory.student_t_probability(1.0, 0)
    with pytest.raises(ValueError, match="value is nan"):
        theory.student_t_probability(math.nan, 9)
