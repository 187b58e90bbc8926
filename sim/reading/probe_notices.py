"""What a reader of a prediction with probes should know of the settings beside them."""

from __future__ import annotations

from collections.abc import Collection

from sim.experiment import Experiment
from sim.experiment.disturbance import Signal


def probe_notices(experiment: Experiment, varied: Collection[str] = ()) -> list[str]:
    """A notice of each setting that does something else than expected in a container with probes.

    Args:
        experiment: whose probes and server they are.
        varied: settings that a study varies, as ``table.field``.
    """
    notices = []
    graceful_timeout = experiment.server.graceful_timeout
    for probe in experiment.probes:
        grace_period = probe.termination_grace_period
        late = probe.kind != "readiness" and graceful_timeout >= grace_period
        if late and "server.graceful_timeout" not in varied:
            notices.append(
                f"graceful_timeout = {graceful_timeout} is not below termination_grace_period = "
                f"{grace_period:g} s of the {probe.kind} probe: where a request hangs, a restart "
                "takes all of the grace period, and SIGKILL ends it."
            )
    stops = any(
        isinstance(it, Signal) and it.to == "master" and it.signal in ("TERM", "INT", "QUIT")
        for it in experiment.disturbances
    )
    if experiment.probes and stops:
        notices.append(
            "A signal stops the master of a container with probes: the kubelet starts it again. A "
            "pod that is deleted is not started again; leave its probes out."
        )
    return notices
