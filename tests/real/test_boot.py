"""Holds predicted boots against real ones: how long until every worker accepts.

The gaps between forks are chance, so a boot is taken apart: until the master listens, from each
fork to the worker's readiness, and between the forks. Most of a boot is Python importing modules,
which takes twice as long in a bad hour of the machine, so this hour's costs are measured first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from host_costs import HostCosts, this_host

from reference_app.rig.process_start import process_start
from reference_app.rig.server import running_server
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic
from sim.experiment.costs import Costs
from sim.model.gunicorn.arbiter import LONGEST_GAP
from sim.model.simulation import predict
from sim.run import ProcessEvent

#: Gaps between forks that are tried: workers that import at the same time are in each other's way.
VARIANTS = 24

#: s, or the part of a time, by which prediction and measurement may differ.
ABSOLUTE = 0.1
RELATIVE = 0.1

NEAR = LaunchDarkly(enabled=True, latency=0.0)
FAR = LaunchDarkly(enabled=True, latency=0.2)
#: An outage costs the whole `start_wait`; this one is shorter than the SDK's 5 s.
AWAY = LaunchDarkly(enabled=True, reachable=False, start_wait=1.5)


@dataclass(frozen=True)
class Boot:
    """The parts of one boot, s.

    Attributes:
        until_listening: from the start of the master's process until it listens.
        workers: from fork to ready, by boot order.
        gaps: from each fork to the next.
        kinds: what happened to the workers, in any order.
    """

    until_listening: float
    workers: list[float]
    gaps: list[float]
    kinds: list[str]


def boot_of(events: tuple[ProcessEvent, ...], began: float) -> Boot:
    times = {(event.kind, event.process): event.time for event in events}
    names = [event.process for event in events if event.kind == "fork"]
    forks = [times["fork", name] for name in names]
    return Boot(
        times["listening", "master"] - began,
        [times["ready", name] - times["fork", name] for name in names],
        [after - before for before, after in pairwise(forks)],
        sorted(event.kind for event in events),
    )


def predicted(experiment: Experiment, variant: int) -> Boot:
    costs, server, flags = experiment.costs, experiment.server, experiment.launchdarkly
    # What is before the first event is known to the reader of the model only.
    wait = min(flags.latency, flags.start_wait) if flags.reachable else flags.start_wait
    imported = costs.import_app + (wait if flags.enabled else 0.0)
    until_listening = costs.reexec + (imported if server.preload_app else 0.0)
    events = predict(replace(experiment, host=this_host()), 0, variant).events
    (listening,) = (event.time for event in events if event.kind == "listening")
    return boot_of(events, listening - until_listening)


def measured(experiment: Experiment) -> Boot:
    with running_server(experiment) as server:
        return boot_of(server.events(), process_start(server.master_pid))


def difference(ours: list[Boot], real: Boot, fork: float) -> str | None:
    """What is further from all of our chances than allowed; None when nothing is."""
    if ours[0].kinds != real.kinds:
        return f"predicted {ours[0].kinds}, measured {real.kinds}"
    parts = [("listening", [boot.until_listening for boot in ours], real.until_listening)]
    parts += [
        (f"worker {number + 1}", [boot.workers[number] for boot in ours], time)
        for number, time in enumerate(real.workers)
    ]
    for name, chances, time in parts:
        slack = max(ABSOLUTE, RELATIVE * time)
        if not min(chances) - slack <= time <= max(chances) + slack:
            return f"{name}: predicted {min(chances):.3f} to {max(chances):.3f}, found {time:.3f} s"
    for gap in (*(gap for boot in ours for gap in boot.gaps), *real.gaps):
        if not fork / 2 <= gap <= LONGEST_GAP + 2 * fork + ABSOLUTE:
            return f"a gap of {gap:.3f} s"
    return None


@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("preload_app", [True, False], ids=["preload", "no preload"])
@pytest.mark.parametrize("launchdarkly", [NEAR, FAR, AWAY], ids=["near", "far", "away"])
def test_boot(
    workers: int, preload_app: bool, launchdarkly: LaunchDarkly, host_costs: HostCosts
) -> None:
    experiment = Experiment(
        server=Server(
            workers=workers, threads=2, worker_class="gthread", preload_app=preload_app, timeout=1
        ),
        traffic=Traffic(requests=1),
        launchdarkly=launchdarkly,
        replications=1,
    )

    def look(costs: Costs) -> str | None:
        asked = replace(experiment, costs=costs)
        ours = [predicted(asked, variant) for variant in range(VARIANTS)]
        return difference(ours, measured(experiment), costs.fork)

    if look(host_costs.measured) is not None:
        assert look(host_costs.life_now()) is None
