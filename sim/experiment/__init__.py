"""Experiments: the server, its host, the traffic, and the disturbances with their times.

`sim.model` predicts an `Experiment`; `reference_app` measures it on real Gunicorn. This
package imports the standard library only.
"""

from sim.experiment.address import MAX_UNIX_PATH, UNIX
from sim.experiment.experiment import MAX_DISTURBANCES, Experiment
from sim.experiment.host import CLIENTS, Clients, Host
from sim.experiment.launchdarkly import LaunchDarkly
from sim.experiment.probe import PROBES, Probe, ProbeKind
from sim.experiment.proxy import PROXIES, Proxy, ProxyKind
from sim.experiment.route import Route
from sim.experiment.server import (
    LIMIT_CONCURRENCY,
    MAX_THREADS,
    MAX_WORKERS,
    RELEASE,
    Server,
)
from sim.experiment.traffic import (
    ARRIVALS,
    CONNECTIONS,
    MAX_REQUESTS,
    Arrivals,
    Connection,
    TraceRow,
    Traffic,
)
from sim.experiment.worker_class import WORKER_CLASSES, WorkerClass

__all__ = [
    "ARRIVALS",
    "CLIENTS",
    "CONNECTIONS",
    "LIMIT_CONCURRENCY",
    "MAX_DISTURBANCES",
    "MAX_REQUESTS",
    "MAX_THREADS",
    "MAX_UNIX_PATH",
    "MAX_WORKERS",
    "PROBES",
    "PROXIES",
    "RELEASE",
    "UNIX",
    "WORKER_CLASSES",
    "Arrivals",
    "Clients",
    "Connection",
    "Experiment",
    "Host",
    "LaunchDarkly",
    "Probe",
    "ProbeKind",
    "Proxy",
    "ProxyKind",
    "Route",
    "Server",
    "TraceRow",
    "Traffic",
    "WorkerClass",
]
