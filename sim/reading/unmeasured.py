"""Hosts and servers of which no prediction has been held against a measurement.

The published validation is of one kind of host: two virtual cores, clients on the same cores, a
kernel with 250 ticks per second. Each `Rule` says where an experiment leaves that, and what may be
wrong there; to add a case is to add a row.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Callable, Collection
from typing import NamedTuple

from sim.experiment import Experiment, Host, Server


class Rule(NamedTuple):
    """When a prediction is of a host that was never measured, and what to say then.

    Attributes:
        host: whether a host is one that was never measured.
        server: whether a server's queues depend on it.
        reads: fields that decide this, as ``table.field``. A study that varies one of them
            predicts some servers or hosts of this kind, so the notice is given.
        text: the notice.
    """

    host: Callable[[Host], bool]
    server: Callable[[Server], bool]
    reads: tuple[str, ...]
    text: str


def _any_server(_: Server) -> bool:
    return True


def _races(server: Server) -> bool:
    """Whether several workers race for each connection, however many they have already."""
    unlimited = server.worker_connections >= Server().worker_connections
    shared = server.workers > 1 and not server.reuse_port
    return server.worker_class != "sync" and shared and unlimited


_RACE = (
    *("server.workers", "server.threads", "server.worker_class"),
    *("server.worker_connections", "server.reuse_port"),
)

RULES: tuple[Rule, ...] = (
    Rule(
        lambda host: host.cores > 2,
        _races,
        ("host.cores", *_RACE),
        "Predictions for more than 2 cores were never held against a measurement: which gthread "
        "worker accepts a connection was fitted to 2 cores, and latency depends on it",
    ),
    Rule(
        # With one core they were: `sim.validation.one_core_grid`.
        lambda host: host.clients == "remote" and host.cores > 1,
        _any_server,
        ("host.clients",),
        "Predictions for remote clients were never held against a measurement of a server with "
        "more than one core: they take none of them",
    ),
    Rule(
        lambda host: bool(host.rtt),
        _any_server,
        ("host.rtt",),
        "A round trip is predicted, and was measured, without loss, bandwidth limits and responses "
        "that need slow start: real networks have them",
    ),
    Rule(
        lambda host: host.hz != Host().hz,
        _any_server,
        ("host.hz",),
        f"Predictions for another hz than {Host().hz} were never held against a measurement: it "
        "changes when dropped packets are sent again, and the scheduler's own ticks are not in it",
    ),
)


#: Said where the Python that predicts has no GIL: that of the service is most likely the same.
FREE_THREADED = (
    "This Python is a free-threaded build. A service on such a build has no GIL, and the model "
    "knows no worker without one: it has requests wait for the GIL that compute at once there."
)


def unmeasured(experiment: Experiment, varied: Collection[str] = ()) -> list[str]:
    """A notice of each thing in which an experiment, or this Python, leaves what was measured.

    Args:
        experiment: that is to be predicted.
        varied: fields that a study varies, as ``table.field``.
    """
    notices = [f"{rule.text}." for rule in RULES if _holds(rule, experiment, set(varied))]
    return [*notices, FREE_THREADED] if sysconfig.get_config_var("Py_GIL_DISABLED") else notices


def _holds(rule: Rule, experiment: Experiment, varied: set[str]) -> bool:
    free = varied.intersection(rule.reads)
    host = any(field.startswith("host.") for field in free) or rule.host(experiment.host)
    server = any(field.startswith("server.") for field in free) or rule.server(experiment.server)
    return host and server
