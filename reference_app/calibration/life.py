"""The costs of the steps of a process's life on this machine: boot, fork, import, signals, exit."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean, median

from reference_app.rig.process_start import process_start
from reference_app.rig.server import Application, RunningServer, running_server
from sim.errors import ExperimentError
from sim.experiment import Experiment, LaunchDarkly, Server
from sim.experiment.release import NEWEST
from sim.experiment.worker_class import WorkerClass
from sim.run import ProcessEvent

#: Times that each step is measured.
TIMES = 2

#: Times at most, until one of a worker's ends could be measured.
MOST_TIMES = 12

#: Longest time (s) until a signal shows an effect.
PATIENCE = 10.0

#: Interval (s) at which the log is read.
LOOK = 0.01

#: Time (s) that a server rests after a step.
CALM = 0.15

#: Mean end of a worker, as a multiple of the shortest: up to 2.2 of them, all as likely, as the
#: model has it. It is a number of its own, for the rig reads nothing of the model's; a test
#: compares both.
MEAN_END = 1.6

_SERVER = Server(workers=2, threads=2, preload_app=True)


def life_costs(
    application: Application | None,
    *,
    launchdarkly: bool,
    gunicorn: str = NEWEST,
    worker_class: WorkerClass = "gthread",
) -> dict[str, float]:
    """Measure, on real Gunicorn, the fields of `Costs` that are about processes, in s.

    Args:
        application: to serve; our service, if None.
        launchdarkly: whether it starts a LaunchDarkly client, as ours does.
        gunicorn: the release to run.
        worker_class: that serves it.

    Raises:
        ExperimentError: when the server does not boot, or does not do what a signal asks for.
    """
    flags = LaunchDarkly(enabled=launchdarkly, latency=0.0)
    server_of_class = replace(_SERVER, gunicorn=gunicorn, worker_class=worker_class)
    experiment = Experiment(server=server_of_class, launchdarkly=flags)
    with running_server(experiment, application) as server:
        # Killed workers first: all others have the same life up to here.
        kills = [_time_to_die(server) for _ in range(TIMES)]
        forks: list[float] = []
        ends: list[float] = []
        while len(forks) < TIMES or (not ends and len(forks) < MOST_TIMES):
            end, fork_time = _end_and_fork(server)
            forks.append(fork_time)
            if end is not None:
                ends.append(end)
        reloads = [_reload(server) for _ in range(TIMES)]
        events = server.events()
    births = _times(events, "fork")
    fork = median(forks)
    begins = _times(events, "postfork") if launchdarkly else births
    boot = median(time - begins[name] for name, time in _times(events, "ready").items())
    costs = {
        "kill": median(kills),
        "reload": max(0.0, median(reloads) - fork),
        "fork": fork,
        "boot": boot,
    }
    if ends:
        # Not the shortest of them: of one or two that is mostly far above the shortest of all.
        costs["finalize"] = fmean(ends) / MEAN_END
    if launchdarkly:
        costs["postfork"] = median(time - births[name] for name, time in begins.items())
    return costs | _start_costs(experiment, application, boot)


def _start_costs(
    experiment: Experiment, application: Application | None, boot: float
) -> dict[str, float]:
    """Python's and Gunicorn's start, and the import of the application, which is not preloaded."""
    starts, imports = [], []
    alone = replace(
        experiment,
        server=replace(experiment.server, workers=1, preload_app=False),
        launchdarkly=LaunchDarkly(),
    )
    for _ in range(TIMES):
        with running_server(alone, application) as server:
            events = server.events()
            starts.append(_times(events, "listening")["master"] - process_start(server.master_pid))
            ready, born = _times(events, "ready"), _times(events, "fork")
            imports += [time - born[name] - boot for name, time in ready.items()]
    return {"reexec": median(starts), "import_app": max(0.0, median(imports))}


def _times(events: tuple[ProcessEvent, ...], kind: str) -> dict[str, float]:
    return {event.process: event.time for event in events if event.kind == kind}


def _time_to_die(server: RunningServer) -> float:
    """From SIGKILL to a worker until its process is gone; a new one has taken its place then."""
    pid = max(process.pid for process in server.living_workers().values())
    forks = len(_times(server.events(), "ready"))
    began = time.monotonic()
    gone = _signal_and_wait(pid, pid, signal.SIGKILL)
    _wait_for(server, "a new worker", lambda: len(_times(server.events(), "ready")) > forks)
    return gone - began


def _end_and_fork(server: RunningServer) -> tuple[float | None, float]:
    """From a worker's last line until its process is gone, and what the next fork takes, s.

    The first is None where a second SIGTERM of the master met Python without its handlers, and
    ended the worker at once, as 4 of 12 times beside other work. uvicorn's worker always ends by
    the signal, without a line.
    """
    ready = len(_times(server.events(), "ready"))
    number, process = min(server.living_workers().items())
    name = f"worker {number}"
    gone = _signal_and_wait(process.pid, server.master_pid, signal.SIGTTOU)
    exiting = _times(server.events(), "exiting").get(name)
    _wait_for(server, "an exit", lambda: name in _times(server.events(), "exit"))
    os.kill(server.master_pid, signal.SIGTTIN)
    _wait_for(server, "a new worker", lambda: len(_times(server.events(), "ready")) > ready)
    events = server.events()
    signalled = _times(events, "signal ttin")["master"]
    cut = f"(pid:{process.pid}) was sent SIGTERM" in server.text()
    lasted = None if cut or exiting is None else gone - exiting
    return lasted, max(_times(events, "fork").values()) - signalled


def _reload(server: RunningServer) -> float:
    """From the line about SIGHUP to the first fork, s."""
    before = server.living_workers()
    known = set(_times(server.events(), "fork"))
    os.kill(server.master_pid, signal.SIGHUP)
    _wait_for(server, "a reload", lambda: not set(before) & set(server.living_workers()))
    events = server.events()
    signalled = _times(events, "signal hup")["master"]
    return min(t for name, t in _times(events, "fork").items() if name not in known) - signalled


def _signal_and_wait(pid: int, to: int, signum: signal.Signals) -> float:
    """Send a signal to process ``to``; when process ``pid`` has ended of it, CLOCK_MONOTONIC s."""
    fd = os.pidfd_open(pid)
    try:
        os.kill(to, signum)
        if not select.select([fd], [], [], PATIENCE)[0]:
            raise ExperimentError(f"process {pid} lives on for {PATIENCE:g} s; expected its end")
        return time.monotonic()
    finally:
        os.close(fd)


def _wait_for(server: RunningServer, what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise ExperimentError(
                f"Gunicorn did not show {what} in {PATIENCE:g} s; its log ends: "
                f"{server.text().strip().splitlines()[-1]}"
            )
        time.sleep(LOOK)
    time.sleep(CALM)
