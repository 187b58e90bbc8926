"""What queueing theory knows exactly, to hold the model and the summary against.

Rates are in requests / s and times in s. An offered load is rate x mean service time, in erlang:
the mean number of servers that the arrivals keep busy. The letters in names are Kendall's:
arrivals / service / servers, M for memoryless, D for deterministic, G for general.

Sources: Gross, Shortle, Thompson, Harris, "Fundamentals of Queueing Theory", 4th ed. (2008);
Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964).
"""

from __future__ import annotations

import math
from functools import lru_cache


def erlang_b(servers: int, load: float) -> float:
    """Probability that an arrival finds all servers of M/G/c/c busy (no queue).

    The recursion over the number of servers holds only probabilities, so it is stable where the
    powers and factorials of the textbook formula overflow. Gross et al., section 3.5 (Erlang B).

    Args:
        servers: c, from 1.
        load: offered load, erlang; may exceed ``servers``.

    Raises:
        ValueError: when an argument is out of range.
    """
    _check_servers(servers)
    _check_positive("offered load", load, "erlang")
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Probability that an arrival must wait in M/M/c. Gross et al., section 3.3 (Erlang C).

    Args:
        servers: c, from 1.
        load: offered load, erlang.

    Raises:
        ValueError: when an argument is out of range, or ``load`` is not below ``servers``.
    """
    _check_servers(servers)
    _check_stable(servers, load)
    blocked = erlang_b(servers, load)
    return blocked / (1 - load / servers * (1 - blocked))


def mmc_mean_wait(rate: float, service: float, servers: int) -> float:
    """Mean wait for a server in M/M/c, s. Gross et al., section 3.3.

    Args:
        rate: arrivals, requests / s.
        service: mean service time, s.
        servers: c, from 1.

    Raises:
        ValueError: when the utilization is not below 1.
    """
    _check_times(rate, service)
    return erlang_c(servers, rate * service) / (servers / service - rate)


def mmc_mean_sojourn(rate: float, service: float, servers: int) -> float:
    """Mean time from arrival to answer in M/M/c, s; see `mmc_mean_wait`."""
    return mmc_mean_wait(rate, service, servers) + service


def mmc_mean_queue(rate: float, service: float, servers: int) -> float:
    """Mean number of requests that wait for a server in M/M/c; see `mmc_mean_wait`."""
    return little(rate, mmc_mean_wait(rate, service, servers))


def mmc_wait_quantile(rate: float, service: float, servers: int, probability: float) -> float:
    """The wait, in s, that a share ``probability`` of the requests of M/M/c does not exceed.

    From P(W > t) = C exp(-(c / service - rate) t), C being `erlang_c`; 0 where that share finds a
    free server. Gross et al., section 3.3.

    Raises:
        ValueError: when the utilization is not below 1, or ``probability`` not within (0, 1).
    """
    _check_times(rate, service)
    _check_probability(probability)
    waits = erlang_c(servers, rate * service)
    if probability <= 1 - waits:
        return 0.0
    return math.log(waits / (1 - probability)) / (servers / service - rate)


def mm1_sojourn_quantile(rate: float, service: float, probability: float) -> float:
    """The sojourn, in s, that a share ``probability`` of the requests of M/M/1 does not exceed.

    The sojourn of M/M/1 is exponential at 1 / service - rate. Gross et al., section 2.2.

    Raises:
        ValueError: when the utilization is not below 1, or ``probability`` not within (0, 1).
    """
    _check_times(rate, service)
    _check_probability(probability)
    _check_stable(1, rate * service)
    return -math.log1p(-probability) / (1 / service - rate)


def mg1_mean_wait(rate: float, service: float, second_moment: float) -> float:
    """Mean wait in M/G/1, s: Pollaczek-Khinchine. Gross et al., section 5.1.

    Args:
        rate: arrivals, requests / s.
        service: mean service time, s.
        second_moment: mean square of the service time, s^2; at least ``service`` squared.

    Raises:
        ValueError: when the utilization is not below 1, or the moments contradict each other.
    """
    _check_times(rate, service)
    _check_stable(1, rate * service)
    # Rounding may put the second moment of a constant a hair below the square of its mean.
    if not math.isfinite(second_moment) or second_moment < service**2 * (1 - 1e-9):
        raise ValueError(
            f"second moment is {second_moment} s^2; expected at least the square of the mean "
            f"service time, {service**2:g} s^2"
        )
    return rate * second_moment / (2 * (1 - rate * service))


def md1_mean_wait(rate: float, service: float) -> float:
    """Mean wait in M/D/1, s: `mg1_mean_wait` with a constant service time of ``service`` s."""
    return mg1_mean_wait(rate, service, service**2)


def little(rate: float, time: float) -> float:
    """Little's law, L = lambda W: mean number present where ``rate`` / s stay ``time`` s each.

    J. D. C. Little, "A Proof for the Queuing Formula: L = lambda W", Operations Research 9(3),
    1961. It holds for any stable system and any part of it, whatever its distributions.
    """
    return rate * time


@lru_cache(maxsize=256)
def student_t_quantile(probability: float, degrees: int) -> float:
    """The value that Student's t with ``degrees`` degrees of freedom does not exceed.

    Abramowitz and Stegun 26.7.3 and 26.7.4 give P(|T| <= t) as a finite sum in the angle
    atan(t / sqrt(degrees)); the angle is found by bisection to the last bit.

    Args:
        probability: of not exceeding it, within (0.5, 1); 0.975 for a 95 % interval.
        degrees: degrees of freedom, from 1.

    Raises:
        ValueError: when an argument is out of range.
    """
    if not 0.5 < probability < 1:
        raise ValueError(f"probability is {probability}; expected a number within (0.5, 1)")
    if degrees < 1:
        raise ValueError(f"degrees of freedom is {degrees}; expected a whole number >= 1")
    inside = 2 * probability - 1
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        if _student_t_inside(middle, degrees) < inside:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan(low)


def student_t_probability(value: float, degrees: int) -> float:
    """Probability that Student's t with ``degrees`` degrees of freedom does not exceed ``value``.

    The inverse of `student_t_quantile`, over all real values; the same source.

    Raises:
        ValueError: when ``degrees`` is below 1 or ``value`` is not a number.
    """
    if degrees < 1:
        raise ValueError(f"degrees of freedom is {degrees}; expected a whole number >= 1")
    if math.isnan(value):
        raise ValueError("value is nan; expected a number")
    inside = _student_t_inside(math.atan(abs(value) / math.sqrt(degrees)), degrees)
    return 0.5 + math.copysign(inside / 2, value)


def _student_t_inside(angle: float, degrees: int) -> float:
    """P(|T| <= sqrt(degrees) tan(angle)): Abramowitz and Stegun 26.7.3 (odd), 26.7.4 (even)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = 0.0
    for power in range(odd, degrees - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _check_servers(servers: int) -> None:
    if servers < 1:
        raise ValueError(f"servers is {servers}; expected a whole number >= 1")


def _check_positive(what: str, value: float, unit: str) -> None:
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"{what} is {value} {unit}; expected a finite number > 0")


def _check_times(rate: float, service: float) -> None:
    _check_positive("rate", rate, "requests / s")
    _check_positive("service time", service, "s")


def _check_probability(probability: float) -> None:
    if not 0 < probability < 1:
        raise ValueError(f"probability is {probability}; expected a number within (0, 1)")


def _check_stable(servers: int, load: float) -> None:
    """Refuse a queue that grows without bound: it has no steady state to speak of."""
    _check_positive("offered load", load, "erlang")
    if load >= servers:
        raise ValueError(
            f"offered load is {load:g} erlang on {servers} servers, utilization "
            f"{load / servers:g}; expected a utilization below 1"
        )
