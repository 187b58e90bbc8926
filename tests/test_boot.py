"""Holds predicted boots against real ones: how long until every worker accepts.

The gaps between forks are chance, so a boot is taken apart: until the master listens, from each
fork to the worker's readiness, and between the forks. Most of a boot is Python importing modules,
which takes twice as long in a bad hour of the machine, so that is measured first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest

from reference_app.flags import OFFLINE
from reference_app.server import running_server
from sim.costs import Costs
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic
from sim.model.master import LONGEST_GAP
from sim.model.simulation import predict
from sim.run import ProcessEvent

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


IMPORTS = """
import time
import gunicorn.app.wsgiapp, gunicorn.arbiter, gunicorn.workers.gthread, reference_app.rig_config
gunicorn = time.process_time()
import reference_app.app
print(gunicorn, time.process_time() - gunicorn)
"""


def costs_now() -> Costs:
    """The costs, with what this machine needs right now to start Python and to import."""
    printed = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        env={**os.environ, OFFLINE: "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    reexec, import_app = (float(word) for word in printed.split())
    return replace(Costs(), reexec=reexec, import_app=import_app)


def predicted(experiment: Experiment) -> Boot:
    costs, server, flags = experiment.costs, experiment.server, experiment.launchdarkly
    # What is before the first event is known to the reader of the model only.
    wait = min(flags.latency, flags.start_wait) if flags.reachable else flags.start_wait
    imported = costs.import_app + (wait if flags.enabled else 0.0)
    until_listening = costs.reexec + (imported if server.preload_app else 0.0)
    events = predict(experiment).events
    (listening,) = (event.time for event in events if event.kind == "listening")
    return boot_of(events, listening - until_listening)


def measured(experiment: Experiment) -> Boot:
    with running_server(experiment) as server:
        return boot_of(server.events(), start_of(server.master_pid))


def start_of(pid: int) -> float:
    """When a process was made, CLOCK_MONOTONIC s; psutil would round the boot to whole seconds."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    ticks = int(stat.rpartition(")")[2].split()[19])
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    return ticks / os.sysconf("SC_CLK_TCK") - asleep


def difference(ours: Boot, real: Boot) -> str | None:
    """What is further apart than allowed; None when nothing is."""
    if ours.kinds != real.kinds:
        return f"predicted {ours.kinds}, measured {real.kinds}"
    parts = [("listening", ours.until_listening, real.until_listening)]
    parts += [
        (f"worker {number}", a, b)
        for number, (a, b) in enumerate(zip(ours.workers, real.workers, strict=True), start=1)
    ]
    for name, a, b in parts:
        if abs(a - b) > max(ABSOLUTE, RELATIVE * b):
            return f"{name}: predicted {a:.3f} s, measured {b:.3f} s"
    fork = Costs().fork
    for gap in (*ours.gaps, *real.gaps):
        if not fork / 2 <= gap <= LONGEST_GAP + fork + ABSOLUTE:
            return f"a gap of {gap:.3f} s"
    return None


@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("preload_app", [True, False], ids=["preload", "no preload"])
@pytest.mark.parametrize("launchdarkly", [NEAR, FAR, AWAY], ids=["near", "far", "away"])
def test_boot(workers: int, preload_app: bool, launchdarkly: LaunchDarkly) -> None:
    experiment = Experiment(
        server=Server(
            workers=workers, threads=2, worker_class="gthread", preload_app=preload_app, timeout=1
        ),
        traffic=Traffic(requests=1),
        launchdarkly=launchdarkly,
        replications=1,
    )

    def look() -> str | None:
        ours = predicted(replace(experiment, costs=costs_now()))
        return difference(ours, measured(experiment))

    if look() is not None:
        # Once more: another process of this machine may have been in the way.
        assert look() is None
