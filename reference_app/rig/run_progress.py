"""How far a measurement is."""

from __future__ import annotations

from reference_app.rig.client import Progress
from reference_app.rig.progress_line import ProgressLine
from sim.experiment import Traffic


def done(traffic: Traffic, answered: int, clock: float) -> float:
    """How much of a run is over, from 0 to 1, as far as its end can be foreseen.

    Args:
        traffic: that is sent.
        answered: requests so far.
        clock: s since the start of the run.
    """
    if traffic.arrivals == "closed" and traffic.requests is not None:
        return min(1.0, answered / traffic.requests)
    if traffic.arrivals == "trace":
        span = traffic.trace[-1].arrival_s
    elif traffic.arrivals != "closed" and traffic.requests is not None:
        span = traffic.requests / traffic.rate
    else:
        span = traffic.duration
    return min(1.0, clock / span) if span > 0 else 1.0


def run_progress(line: ProgressLine, traffic: Traffic, run: int, runs: int) -> Progress:
    """What a run is to tell its progress.

    Args:
        line: that passes it on.
        traffic: that is sent.
        run: its number, from 0.
        runs: that there are.
    """
    step = f"run {run + 1} of {runs}"
    line.say(step, run / runs, detail=": starting Gunicorn")

    def tell(answered: int, sent: int, clock: float) -> None:
        over = (run + done(traffic, answered, clock)) / runs
        line.say(step, over, detail=f": {answered:,} of {sent:,} answered")

    return tell
