"""Holds overload against the real server and the real kernel, on the very same requests.

More requests come than there is room for in the accept queue.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from looks import RUNS, Exhibit, Looks
from traffic_looks import criteria

from sim.experiment import Experiment, Server, TraceRow, Traffic
from sim.experiment.distribution import Distribution
from sim.run import Run

SYNC = Server(workers=1, timeout=0, preload_app=True)
GTHREAD = Server(
    workers=2, threads=2, worker_class="gthread", worker_connections=2, preload_app=True
)

BURST = Traffic(arrivals="trace", trace=(TraceRow(0.0, 0.02, 0.0),) * 28, drain=15.0)


def _overload(server: Server, *, rate: float, io: float, **traffic: float | None) -> Experiment:
    return Experiment(
        server=server,
        traffic=Traffic(
            rate=rate,
            io=Distribution("const", (io,)),
            **traffic,  # type: ignore[arg-type]
        ),
        seed=3,
        replications=1,
    )


#: At least three times as many requests as can be served. Those of the burst are all sent again in
#: one tick; without dropped ACKs they would come in after whole seconds only.
EXPERIMENTS = {
    "a burst, backlog 2": Experiment(
        server=replace(SYNC, backlog=2),
        traffic=BURST,
        replications=1,
    ),
    # Most get a SYN cookie, and a reset once they send a second segment.
    "a burst with bodies, backlog 2": Experiment(
        server=replace(SYNC, backlog=2),
        traffic=replace(BURST, body=Distribution("const", (0.05,))),
        replications=1,
    ),
    "sync, backlog 1": _overload(
        replace(SYNC, backlog=1), rate=20.0, io=0.2, duration=3.0, drain=15.0
    ),
    "sync, backlog 8": _overload(
        replace(SYNC, backlog=8), rate=20.0, io=0.2, duration=3.0, drain=15.0
    ),
    "sync, backlog 2048": _overload(
        # Takes 15 s after the last arrival, and longer where the machine is slow.
        replace(SYNC, workers=4),
        rate=900.0,
        io=0.02,
        duration=4.0,
        drain=30.0,
    ),
    "gthread, worker_connections reached": _overload(
        replace(GTHREAD, backlog=8), rate=60.0, io=0.2, duration=3.0, drain=15.0
    ),
    "clients give up": _overload(
        replace(GTHREAD, backlog=1),
        rate=60.0,
        io=0.2,
        duration=3.0,
        drain=8.0,
        timeout=1.5,
        retries=1,
    ),
}


EXHIBIT = Exhibit(RUNS, EXPERIMENTS, lambda _: criteria)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_overload_is_as_predicted(name: str, looks: Looks[Run]) -> None:
    assert looks.differs(name) is None
