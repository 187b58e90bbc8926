"""What a reader of a prediction in Kubernetes should know of settings that do not fit together."""

from __future__ import annotations

from collections.abc import Collection

from sim.experiment import Experiment
from sim.experiment.disturbance import Rollout, Signal
from sim.experiment.shutdown import shutdown


def probe_notices(experiment: Experiment, varied: Collection[str] = ()) -> list[str]:
    """A notice of each setting that does something else than expected with probes, or a rollout.

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
    for disturbance in experiment.disturbances:
        if isinstance(disturbance, Rollout):
            notices += _rollout_notices(experiment, disturbance, varied)
    return notices


def _rollout_notices(
    experiment: Experiment, rollout: Rollout, varied: Collection[str]
) -> list[str]:
    notices = []
    if not any(probe.kind == "readiness" for probe in experiment.probes):
        notices.append(
            "The rollout has no readiness probe: the new pod is ready as soon as its container "
            "runs, and clients are refused until it listens."
        )
    if rollout.pre_stop < rollout.endpoints:
        notices.append(
            f"pre_stop = {rollout.pre_stop:g} s of the rollout is shorter than endpoints = "
            f"{rollout.endpoints:g} s: for the difference, clients meet a server that accepts no "
            "more."
        )
    graceful_timeout = experiment.server.graceful_timeout
    grace_period = shutdown(rollout.termination_grace_period, rollout.pre_stop).grace_period
    if graceful_timeout >= grace_period and "server.graceful_timeout" not in varied:
        notices.append(
            f"graceful_timeout = {graceful_timeout} is not below the {grace_period:g} s that "
            "pre_stop leaves of the rollout's termination_grace_period: SIGKILL ends what takes "
            "longer, and what waits in the backlog."
        )
    return notices
