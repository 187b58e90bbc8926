"""Text for disturbances."""

from __future__ import annotations

from sim.experiment.disturbance import (
    ALL_PROCESSES,
    BootError,
    Crash,
    Disturbance,
    FlagService,
    Hang,
    Rate,
    Rollout,
    Signal,
)


def describe(disturbance: Disturbance) -> str:
    """The disturbance as a part of a sentence, without its time: ``SIGKILL to worker 1``."""
    match disturbance:
        case Signal(signal=signal, to=to, worker=worker):
            target = {"master": "the master", "all": ALL_PROCESSES}.get(to, f"worker {worker}")
            text = f"SIG{signal} to {target}"
        case Crash(worker=worker):
            text = f"the next request crashes worker {worker}"
        case Hang(worker=worker, threads=threads, seconds=seconds):
            requests = "request" if threads == 1 else f"{threads} requests"
            hang = "hangs" if threads == 1 else "hang"
            text = f"the next {requests} of worker {worker} {hang} for {seconds:g} s"
        case BootError(exit_code=exit_code):
            text = f"new workers fail to boot, exit code {exit_code}"
        case FlagService(reachable=reachable, latency=latency):
            changes = [] if reachable is None else ["is reachable" if reachable else "goes away"]
            changes += [] if latency is None else [f"has a latency of {latency:g} s"]
            text = f"the flag service {' and '.join(changes)}"
        case Rollout(pre_stop=pre_stop, endpoints=endpoints, termination_grace_period=grace_period):
            text = (
                f"a rollout: preStop {pre_stop:g} s, endpoints {endpoints:g} s, grace period "
                f"{grace_period:g} s"
            )
        case Rate(rate=rate):
            text = f"{rate:g} requests/s from then on" if rate else "no more requests come"
    return text
