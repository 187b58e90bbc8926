"""What holds of every predicted run, whatever its server, its clients and its trouble."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import accumulate

from sim.experiment import Experiment
from sim.experiment.worker_class import USUAL_CLASSES
from sim.run import Request, Run

#: s by which sums of the same times in another order may differ.
ROUNDING = 1e-9


def check_row(asked: Experiment, row: Request) -> None:
    """A request has one outcome, and its times are in order."""
    match row.outcome:
        case "ok":
            assert row.worker > 0
            assert row.started + row.io + row.cpu <= row.finished + ROUNDING
        case "timeout" if asked.traffic.timeout is not None:
            patience = asked.traffic.timeout + asked.traffic.retry_delay
            assert row.latency <= (patience + 1.0) * (1 + asked.traffic.retries)
        case "error_5xx":
            sends = (
                asked.server.worker_class == "sync" or asked.server.limit_concurrency is not None
            )
            assert sends or asked.proxy.kind != "none"
        case "unfinished":
            assert row.finished != row.finished  # NaN
        case "timeout" | "gateway_timeout" | "bad_gateway":
            assert asked.proxy.kind != "none" or row.outcome == "timeout"
        case other:
            assert other in ("refused", "reset")
            assert row.finished >= row.arrival - ROUNDING


def check_threads(run: Run) -> None:
    """A thread runs one request at a time; an event loop has as many as it likes."""
    if run.experiment["server"]["worker_class"] not in USUAL_CLASSES:
        return
    threads: defaultdict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for row in run.requests:
        if row.thread and row.outcome == "ok":
            threads[row.worker, row.thread].append((row.started, row.started + row.io + row.cpu))
    for intervals in threads.values():
        steps = sorted(
            step
            for begin, end in intervals
            if end - begin > ROUNDING
            for step in ((begin, 1), (end - ROUNDING, -1))
        )
        assert max(accumulate((change for _, change in steps), initial=0)) <= 1


def check_events(run: Run) -> None:
    """Events are as `broken_events` wants them."""
    assert [*broken_events(run)] == []


def broken_events(run: Run) -> Iterator[str]:
    """A sentence where events are out of order, or a worker serves or exits that was not born.

    A worker is born once, and exits once.
    """
    times = [event.time for event in run.events]
    if times != sorted(times):
        yield "events are not in order"
    births = Counter(event.process for event in run.events if event.kind == "fork")
    exits = Counter(event.process for event in run.events if event.kind == "exit")
    for what, counted in (("was forked", births), ("exited", exits)):
        for process, number in counted.items():
            if number > 1:
                yield f"{process} {what} {number} times"
    for worker in sorted({row.worker for row in run.requests if row.worker}):
        if f"worker {worker}" not in births:
            yield f"worker {worker} ran a request and was never forked"
    for process in sorted(set(exits) - {*births, "master", "master 2"}):
        yield f"{process} exited and was never forked"
