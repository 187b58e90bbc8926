"""What goes wrong with every service sooner or later: a reload, a stop, a request that hangs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from sim.experiment import MAX_REQUESTS, Experiment, TraceRow
from sim.experiment.disturbance import Hang, Signal

#: Names the trouble in a `sim.study.parameter.Point`.
TROUBLE: Final = "trouble"

#: The trouble after which nobody listens.
STOP: Final = "stop"

#: Times of Gunicorn's ``timeout`` for which requests come after one hangs: the master looks for
#: late workers once a second, and a worker may have SIGABRT and then SIGKILL.
PATIENCE: Final = 1.5

#: s for another worker to boot, and for the looks of the master.
BOOT: Final = 5.0


def last_arrival(base: Experiment) -> float | None:
    """When requests stop coming, s; None where nobody knows."""
    traffic = base.traffic
    if traffic.arrivals == "trace":
        return traffic.trace[-1].arrival_s
    if traffic.requests is None:
        return traffic.duration
    if traffic.arrivals == "closed":
        return None
    return traffic.requests / traffic.rate


def middle(base: Experiment) -> float | None:
    """Half of the time over which requests come, s; None where nobody knows."""
    last = last_arrival(base)
    return None if last is None else float(f"{last / 2:.4g}")


def _reload(base: Experiment, last: float) -> Experiment:
    return replace(base, disturbances=(Signal(last / 2, "HUP", "master"),))


def _stop(base: Experiment, last: float) -> Experiment:
    return replace(base, disturbances=(Signal(last / 2, "TERM", "master"),))


def _hang(base: Experiment, last: float) -> Experiment:
    """Requests come until the master has looked for late workers, and replaced them."""
    traffic, until = base.traffic, last / 2 + PATIENCE * base.server.timeout + BOOT
    if until > last and traffic.arrivals == "trace":
        traffic = replace(traffic, trace=(*traffic.trace, TraceRow(until, 0.0, 0.0)))
    elif until > last and traffic.rate * until <= MAX_REQUESTS:
        traffic = replace(traffic, duration=until, requests=None)
    return replace(base, traffic=traffic, disturbances=(Hang(last / 2),))


#: Makes of an experiment the one in which a trouble comes, given when requests stop coming, s.
TROUBLES: Final[Mapping[str, Callable[[Experiment, float], Experiment]]] = {
    "reload": _reload,
    STOP: _stop,
    "hang": _hang,
}


def troubled(base: Experiment, name: str) -> Experiment:
    """The experiment in which nothing goes wrong but one of the `TROUBLES`, in the middle.

    Nor does a worker restart for ``max_requests``: it would not be there any more, or it would be
    that which is waited for.
    """
    last = last_arrival(base)
    assert last is not None, "nobody asks for trouble at a moment that is not known"
    return TROUBLES[name](replace(base, server=replace(base.server, max_requests=0)), last)
