"""Holds predicted boots against real ones: how long until every worker accepts.

The gaps between forks are random, so a boot is taken apart: until the master listens, from each
fork to the worker's readiness, and between the forks. Most of a boot is Python importing modules,
which takes twice as long in a bad hour of the machine, so this hour's costs are measured first. A
time may be off by the model's own error of 100 ms or 10 %, whichever is larger. `rank_test` states
the rate of false alarms.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from boot_looks import Boot, boot_of, criteria, predicted_boot
from host_costs import HostCosts
from looks import Exhibit, Looks, Sides, looks_at

from reference_app.rig.process_start import process_start
from reference_app.rig.server import running_server
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic

NEAR = LaunchDarkly(enabled=True, latency=0.0)
FAR = LaunchDarkly(enabled=True, latency=0.2)
#: An outage costs the whole `start_wait`; this one is shorter than the SDK's 5 s.
AWAY = LaunchDarkly(enabled=True, reachable=False, start_wait=0.7)


def measured_boot(experiment: Experiment) -> Boot:
    with running_server(experiment) as server:
        return boot_of(server.events(), process_start(server.master_pid))


def _experiment(workers: int, preload_app: bool, launchdarkly: LaunchDarkly) -> Experiment:
    server = Server(
        workers=workers, threads=2, worker_class="gthread", preload_app=preload_app, timeout=1
    )
    return Experiment(
        server=server, traffic=Traffic(requests=1), launchdarkly=launchdarkly, replications=1
    )


EXPERIMENTS = {
    f"{workers} workers, {'preload' if preload_app else 'no preload'}, flags {where}": _experiment(
        workers, preload_app, launchdarkly
    )
    for (where, launchdarkly), preload_app, workers in product(
        {"near": NEAR, "far": FAR, "away": AWAY}.items(), (True, False), (2, 4)
    )
}


@pytest.fixture(scope="module")
def looks(host_costs: HostCosts) -> Iterator[Looks[Boot]]:
    """Boots compute, so each has the machine to itself."""
    exhibit = Exhibit(Sides(predicted_boot, measured_boot), EXPERIMENTS, lambda _: criteria)
    with looks_at(exhibit, at_once=1, costs=host_costs) as looks:
        yield looks


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_boot(name: str, looks: Looks[Boot]) -> None:
    assert looks.differs(name) is None
