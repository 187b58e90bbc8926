"""What binds: a sentence about the one thing of a server that requests wait for."""

from __future__ import annotations

from sim.analysis.summary import Summary

#: Part of the 99th percentile of the latency up to which waiting is nothing to speak of.
SHORT = 0.1

#: A queue for each worker is what binds where one shared queue would have at most this part of the
#: mean wait.
APART = 0.5


def binding(summary: Summary) -> str:
    """Say in a sentence what requests wait for, and how long.

    It is the overload where there is one, else computing, separate queues or threads.
    """
    load = summary.load
    if load.reasons:
        return load.reasons[0]
    latency, wait, ideal = summary.latency, summary.wait, summary.ideal_wait
    if latency is None or wait is None or ideal is None:
        return "No request is answered."
    utilization = 0.0 if summary.utilization is None else summary.utilization.value
    busy = f"{utilization * load.capacity:.1f} of {_count(load.capacity, 'thread')}"
    if wait.p99.value <= SHORT * latency.p99.value:
        return (
            f"Nothing binds: 99 of 100 requests start within {_ms(wait.p99.value)}; {busy} are "
            "busy on average."
        )
    computing = 0.0 if load.computing is None else load.computing / load.processors
    if computing >= utilization:
        return (
            f"Computing binds: requests compute for {computing * load.processors:.2f} s each "
            f"second, and the workers can use {_count(load.processors, 'processor')} at once (one "
            "each, because of the GIL)."
        )
    if len(summary.workers) > 1 and ideal.mean.value <= APART * wait.mean.value:
        return (
            f"Separate queues bind: {busy} are busy on average, and yet a request waits "
            f"{_ms(wait.mean.value)} on average. If all threads took from one queue, it would wait "
            f"{_ms(ideal.mean.value)}."
        )
    return (
        f"Threads bind: {busy} are busy on average, and a request waits {_ms(wait.mean.value)} on "
        "average until it gets one."
    )


def _ms(seconds: float) -> str:
    """``seconds`` as about three digits of milliseconds."""
    value = 1000 * seconds
    return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f} ms"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
