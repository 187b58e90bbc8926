"""What goes wrong in the model, and what becomes of it: Gunicorn's rules, one by one."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from strategies import troubled

from sim.experiment import Experiment
from sim.model.simulation import predict
from sim.run import Request

GUARD = 60.0  # s after which a model that does not end is stopped

#: s by which sums of the same times in another order may differ.
ROUNDING = 1e-9


@pytest.fixture(autouse=True)
def bounded_time() -> Iterator[None]:
    """Stop a model that does not end."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        pytest.fail(f"the model has not ended within {GUARD:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, GUARD)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, before)


def check_row(asked: Experiment, row: Request) -> None:
    match row.outcome:
        case "ok":
            assert row.worker > 0
            assert row.started + row.io + row.cpu <= row.finished + ROUNDING
        case "timeout":
            assert asked.traffic.timeout is not None
            patience = asked.traffic.timeout + asked.traffic.retry_delay
            assert row.latency <= (patience + 1.0) * (1 + asked.traffic.retries)
        case "error_5xx":
            assert asked.server.worker_class == "sync"
        case "unfinished":
            assert row.finished != row.finished  # NaN
        case other:
            assert other in ("refused", "reset")
            assert row.finished >= row.arrival - ROUNDING


@settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(troubled)
def test_whatever_goes_wrong_every_request_has_one_outcome(asked: Experiment) -> None:
    run = predict(asked)
    rows = list(run.requests)
    for row in rows:
        check_row(asked, row)
    threads: defaultdict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
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
    times = [event.time for event in run.events]
    assert times == sorted(times)
    births = {event.process for event in run.events if event.kind == "fork"}
    assert {f"worker {row.worker}" for row in rows if row.worker} <= births
