"""The LaunchDarkly client by itself: when it tries again, and when it is up."""

from __future__ import annotations

from random import Random

from sim.experiment import LaunchDarkly
from sim.model.engine.clock import Clock
from sim.model.launchdarkly import LONGEST_RETRY, RESET_INTERVAL, FlagService, LDClient


class Jitter(Random):
    """Takes the same part of its jitter off each retry, and notes when each was asked for."""

    def __init__(self, clock: Clock, part: float) -> None:
        super().__init__(1)
        self._clock = clock
        self._part = part
        self.moments: list[float] = []

    def random(self) -> float:
        """That part."""
        self.moments.append(self._clock.time)
        return self._part


def started(part: float = 0.0) -> tuple[Clock, FlagService, LDClient, Jitter]:
    """A client of a service that is away."""
    clock = Clock()
    service = FlagService(clock, LaunchDarkly(enabled=True, reachable=False, latency=0.0))
    jitter = Jitter(clock, part)
    client = LDClient(clock, service, jitter)
    clock.process(client.start(0.0))
    return clock, service, client, jitter


def test_each_retry_waits_twice_as_long_up_to_a_limit() -> None:
    clock, _, client, jitter = started()
    clock.run_until(clock.timeout(130.0))
    assert jitter.moments == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 91.0, 121.0]
    assert client.stream is None


def test_the_jitter_halves_a_retry_at_most() -> None:
    clock, _, _, jitter = started(part=1.0)
    clock.run_until(clock.timeout(8.0))
    assert jitter.moments == [0.0, 0.5, 1.5, 3.5, 7.5]


def test_retries_begin_anew_after_a_minute_of_health() -> None:
    clock, service, client, jitter = started()
    clock.run_until(clock.timeout(16.0))
    service.change(reachable=True, latency=None)
    clock.run_until(clock.timeout(20.0))
    assert client.stream is not None
    for healthy in (RESET_INTERVAL + LONGEST_RETRY, RESET_INTERVAL / 2):
        service.change(reachable=True, latency=None)
        clock.run_until(clock.timeout(healthy))
        jitter.moments.clear()
        service.change(reachable=False, latency=None)
        clock.run_until(clock.timeout(0.5))
        assert client.stream is None
        # The first of them takes 1 s after a long time of health, and longer after a short one.
        clock.run_until(clock.timeout(1.0))
        assert (len(jitter.moments) == 2) == (healthy > RESET_INTERVAL)
        service.change(reachable=True, latency=None)
        clock.run_until(clock.timeout(LONGEST_RETRY))
