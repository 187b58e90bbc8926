"""How a kubelet stops a container: `killContainer` of Kubernetes.

Read in its source, ``pkg/kubelet/kuberuntime/kuberuntime_container.go``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: s that a container has at least from SIGTERM to SIGKILL (``minimumGracePeriodInSeconds``).
LEAST_GRACE_PERIOD: Final = 2.0


class Shutdown(NamedTuple):
    """How a container is stopped; see `shutdown`.

    Attributes:
        pre_stop: s that its ``preStop`` hook runs before SIGTERM.
        grace_period: s from SIGTERM to SIGKILL.
    """

    pre_stop: float
    grace_period: float


def shutdown(grace_period: float, pre_stop: float = 0.0) -> Shutdown:
    """The times of a container's end.

    The hook is part of the grace period, and is given up when that is over; SIGKILL comes
    `LEAST_GRACE_PERIOD` s after SIGTERM at the earliest.

    Args:
        grace_period: ``terminationGracePeriodSeconds``.
        pre_stop: s for which the hook sleeps; 0 without one.
    """
    hook = min(pre_stop, grace_period)
    return Shutdown(hook, max(LEAST_GRACE_PERIOD, grace_period - hook))
