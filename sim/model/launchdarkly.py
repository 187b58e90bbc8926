"""The LaunchDarkly client, as a process that starts it waits for it (ldclient/client.py)."""

from __future__ import annotations

from sim.experiment import LaunchDarkly


def start_seconds(launchdarkly: LaunchDarkly) -> float:
    """How long `LDClient` or `postfork()` blocks, s.

    It starts its threads, opens the stream, and waits for the first ``put`` event, but for
    ``start_wait`` at most.
    """
    if not launchdarkly.enabled:
        return 0.0
    return min(launchdarkly.latency, launchdarkly.start_wait)
