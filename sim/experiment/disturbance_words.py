"""What a disturbance is, in words."""

from __future__ import annotations

from sim.experiment.disturbance import (
    EVERYBODY,
    BootError,
    Crash,
    Disturbance,
    FlagService,
    Hang,
    Rate,
    Signal,
)


def words(disturbance: Disturbance) -> str:
    """What is done, as a part of a sentence without a time: ``SIGKILL to worker 1``."""
    match disturbance:
        case Signal(signal=signal, to=to, worker=worker):
            whom = {"master": "the master", "all": EVERYBODY}.get(to, f"worker {worker}")
            what = f"SIG{signal} to {whom}"
        case Crash(worker=worker):
            what = f"the next request crashes worker {worker}"
        case Hang(worker=worker, threads=threads, seconds=seconds):
            who = "request" if threads == 1 else f"{threads} requests"
            hang = "hangs" if threads == 1 else "hang"
            what = f"the next {who} of worker {worker} {hang} for {seconds:g} s"
        case BootError(exit_code=exit_code):
            what = f"workers cannot boot any more, exit code {exit_code}"
        case FlagService(reachable=reachable, latency=latency):
            changes = [] if reachable is None else ["is reachable" if reachable else "goes away"]
            changes += [] if latency is None else [f"has a latency of {latency:g} s"]
            what = f"the flag service {' and '.join(changes)}"
        case Rate(rate=rate):
            what = f"{rate:g} requests/s from then on" if rate else "no more requests come"
    return what
