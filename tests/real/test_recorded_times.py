"""Recorded demand is what requests took, on real Gunicorn: requests whose times are known.

Goal: what a recording says is what happened, on each worker class, also of requests that an event
loop runs at the same time. Method: requests that wait and compute for known times, at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from looks import Measured, Measurements
from recorded_service import ask, cells, recorded, recording, wait_until_recorded

from sim.experiment import TraceRow
from sim.study.fit.demand import fitted

#: Flags of a class that runs requests at the same time, and whether it runs the ASGI application.
CLASSES = {
    "sync": (("--workers", "4"), False),
    "gthread": (("--workers", "2", "--threads", "2"), False),
    "gevent": (("--worker-class", "gevent"), False),
    "asgi": (("--worker-class", "asgi"), True),
    "uvicorn": (("--worker-class", "uvicorn_worker.UvicornWorker"), True),
}


def times(server_flags: tuple[str, ...], asgi: bool) -> list[TraceRow]:
    """What is recorded of requests whose times are known."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "demand.csv")
        with recording(Path(folder), str(file), server=server_flags, asgi=asgi) as server:
            ask(server, *(f"/users/{number}?io=0.05" for number in range(20)))
            ask(server, *["/report?cpu=0.03&io=0.02"] * 10)
            # One computes while the other waits: on an event loop in the same thread.
            ask(server, "/waits?io=0.4", "/computes?io=0.1&cpu=0.1")
            wait_until_recorded(file, 32)
        return recorded(file)


def waits() -> list[float]:
    """What is recorded that six requests at once to two threads waited, s."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "demand.csv")
        flags = ("--threads", "2", "--workers", "1")
        with recording(Path(folder), str(file), server=flags) as server:
            ask(server, *["/work?io=0.3"] * 6, clients=6)
            wait_until_recorded(file, 6)
        return sorted(float(line["wait_ms"]) / 1000 for line in cells(file))


#: What records each of them.
RECORDINGS: dict[str, Callable[[], Any]] = {
    **{name: partial(times, *service) for name, service in CLASSES.items()},
    "waits": waits,
}

EXHIBIT = Measurements(lambda record: record(), RECORDINGS, few=True, seconds=lambda _: 1.0)


@pytest.mark.parametrize("name", CLASSES)
def test_times_and_routes_are_those_of_the_requests(
    name: str, measured: Measured[str, list[TraceRow]]
) -> None:
    rows = measured[name]
    by_route = {demand.name: demand for demand in fitted(rows).demands}
    assert {name: demand.requests for name, demand in by_route.items()} == {
        "/users/:id": 20,
        "/report": 10,
        "/waits": 1,
        "/computes": 1,
    }
    assert by_route["/users/:id"].io.distribution.mean == pytest.approx(0.05, abs=0.015)
    assert by_route["/users/:id"].cpu.distribution.mean < 0.005
    # What waits for the GIL, or for the event loop, does not compute.
    assert by_route["/report"].cpu.distribution.mean == pytest.approx(0.03, abs=0.006)
    cpu = {row.route: row.cpu_s for row in rows}
    assert cpu["/waits"] < 0.02
    assert cpu["/computes"] == pytest.approx(0.1, abs=0.02)
    assert all(before.arrival_s <= after.arrival_s for before, after in pairwise(rows))


def test_the_wait_for_a_thread_is_recorded(measured: Measured[str, list[float]]) -> None:
    """Linux knows when the last byte came; the accept queue and the pool's are in the wait."""
    # Two at a time; the kernel's tick is 10 ms at most.
    assert measured["waits"] == pytest.approx([0.0, 0.0, 0.3, 0.3, 0.6, 0.6], abs=0.06)
