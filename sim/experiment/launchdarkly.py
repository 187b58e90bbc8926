"""The flag service, as a forked worker's `postfork()` meets it."""

from __future__ import annotations

from dataclasses import dataclass

from sim.experiment.checks import check_number


@dataclass(frozen=True, slots=True)
class LaunchDarkly:
    """The flag service, as a forked worker's ``postfork()`` meets it.

    Attributes:
        enabled: whether the service has a LaunchDarkly client.
        latency: s from the connection to the stream's first ``put`` event.
        start_wait: s that the client's start and ``postfork()`` wait for it, at most.
        reachable: whether the service answers at all, until a disturbance says otherwise.
        postfork: whether ``post_fork`` calls ``postfork()``; only with ``preload_app`` is there
            a client that needs it.
    """

    enabled: bool = False
    latency: float = 0.08
    start_wait: float = 5.0
    reachable: bool = True
    postfork: bool = True

    def __post_init__(self) -> None:
        check_number("launchdarkly latency", self.latency, 0)
        check_number("launchdarkly start_wait", self.start_wait, 0)
