"""Does to the service what the experiment says is done to it, at the time that it says."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from simpy import Event

from sim.experiment.disturbance import (
    BootError,
    Crash,
    Disturbance,
    FlagService,
    Hang,
    Rollout,
    Signal,
)
from sim.model.deployment import Deployment
from sim.model.gunicorn.worker import Worker
from sim.model.pod import Pod
from sim.model.wiring import Wiring


def disturb(
    disturbances: Sequence[Disturbance],
    wiring: Wiring,
    pods: Sequence[Pod],
    workers: Sequence[Worker],
    deployment: Deployment | None,
) -> Generator[Event, object, None]:
    """Wait for each disturbance's time and do it; begin at the start of the run.

    Args:
        disturbances: by time.
        wiring: of the service.
        pods: of the service; a rollout adds one.
        workers: all that were ever forked, by boot order; it grows.
        deployment: which does the rollout; None where there is none.
    """
    start = wiring.clock.time
    for disturbance in disturbances:
        yield wiring.clock.timeout(max(0.0, start + disturbance.at - wiring.clock.time))
        _, kind, process = disturbance.event()
        wiring.recorder.event(wiring.clock.time, kind, process)
        if isinstance(disturbance, Rollout):
            assert deployment is not None, "an experiment with a rollout has a deployment"
            deployment.roll_out(disturbance)
        else:
            _do(disturbance, wiring, pods, workers)


def _do(
    disturbance: Disturbance,
    wiring: Wiring,
    pods: Sequence[Pod],
    workers: Sequence[Worker],
) -> None:
    masters = [master for pod in pods for master in pod.masters]
    match disturbance:
        case Signal(to="master", signal=signal):
            masters[0].kill(signal)
        case Signal(to="all", signal=signal):
            kills = (*(master.kill for master in masters), *(worker.kill for worker in workers))
            for kill in kills:
                kill(signal)
        case Signal(signal=signal, worker=boot_order):
            for worker in workers[boot_order - 1 : boot_order]:
                worker.kill(signal)
        case Crash(worker=boot_order):
            for worker in workers[boot_order - 1 : boot_order]:
                worker.set_crash()
        case Hang(worker=boot_order, threads=threads, seconds=seconds):
            for worker in workers[boot_order - 1 : boot_order]:
                worker.set_hang(threads, seconds)
        case BootError(exit_code=exit_code):
            for master in masters:
                master.boot_error = exit_code
        case FlagService(reachable=reachable, latency=latency):
            wiring.flag_service.change(reachable, latency)
        # A `Rate` is in the schedule of arrivals already.
