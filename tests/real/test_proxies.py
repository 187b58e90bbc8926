"""What a proxy makes of requests, predicted and measured request by request.

Real nginx, and a load balancer that the load generator plays, stand in front of real Gunicorn. Each
case is a trace of a few requests whose outcomes and times do not depend on which worker accepts.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from outcomes import outcomes

from reference_app.rig.measure import measure
from reference_app.rig.nginx import find_nginx
from sim.experiment import Experiment, LaunchDarkly, Proxy, Server, TraceRow, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Signal
from sim.model import predict
from sim.run import Run

#: s by which a measured time may differ: the machine's noise, far below the times that matter.
TOLERANCE = 0.15

#: s by which the time of a request may differ that waits for a worker to start: importing takes
#: twice as long while other tests compute.
STARTING = 0.5

needs_nginx = pytest.mark.skipif(
    find_nginx() is None, reason="nginx is not installed (Debian: apt-get install nginx-light)"
)

NGINX, BALANCER = Proxy(kind="nginx"), Proxy(kind="alb")
KEEPING = replace(NGINX, keepalive=8)


def experiment(
    proxy: Proxy, rows: list[tuple[float, float]], server: Server, **traffic: object
) -> Experiment:
    """Requests at these times, s, that wait for so long, s."""
    trace = tuple(TraceRow(arrival, io, 0.0) for arrival, io in rows)
    return Experiment(
        server,
        traffic=Traffic(arrivals="trace", trace=trace, drain=10.0, **traffic),  # type: ignore[arg-type]
        proxy=proxy,
        launchdarkly=LaunchDarkly(enabled=False),
        replications=1,
    )


def agree(asked: Experiment, within: float = TOLERANCE) -> Run:
    """Measure the experiment, hold it to its prediction row by row, and return it."""
    predicted, measured = predict(asked), measure(asked, 0, lambda *_: None)
    assert outcomes(measured) == outcomes(predicted)
    for row, (real, model) in enumerate(
        zip(measured.requests.finished, predicted.requests.finished, strict=True)
    ):
        assert real == pytest.approx(model, abs=within), f"row {row}"
    return measured


SYNC = Server(workers=1, worker_class="sync")


@needs_nginx
def test_read_timeout_answers_504_and_gunicorn_goes_on() -> None:
    """The request after the one that took too long waits for it, which nobody wants any more."""
    proxy = replace(NGINX, read_timeout=0.8)
    rows = [(0.1, 0.2), (0.5, 1.4), (1.5, 0.2), (2.5, 0.2)]
    measured = agree(experiment(proxy, rows, SYNC))
    assert outcomes(measured) == ["ok", "gateway_timeout", "ok", "ok"]
    assert measured.requests.finished[1] == pytest.approx(1.3, abs=TOLERANCE)
    assert measured.requests.finished[2] == pytest.approx(2.1, abs=TOLERANCE)


@needs_nginx
def test_client_gives_up_and_gunicorn_goes_on() -> None:
    """Nginx logs 499; the work is done all the same."""
    rows = [(0.1, 1.2), (0.4, 0.1), (1.6, 0.1)]
    measured = agree(experiment(NGINX, rows, SYNC, timeout=0.6))
    assert outcomes(measured) == ["timeout", "timeout", "ok"]


@needs_nginx
def test_slow_upload_holds_no_worker() -> None:
    """Nginx reads the body first; without it, one upload holds the only worker for its time."""
    rows = [(0.1 + 0.02 * number, 0.05) for number in range(4)]
    slow = {"body": Distribution("const", (1.0,))}
    behind = agree(experiment(NGINX, rows, SYNC, **slow))
    assert max(behind.requests.finished) < 1.6
    direct = agree(experiment(Proxy(), rows, SYNC, **slow))
    assert max(direct.requests.finished) > 1.3
    assert set(outcomes(behind)) == set(outcomes(direct)) == {"ok"}


@needs_nginx
def test_full_unix_backlog_is_502() -> None:
    """`connect(2)` fails at once with EAGAIN."""
    server = replace(SYNC, bind="unix:/run/gunicorn.sock", backlog=1)
    rows = [(0.1 + 0.02 * number, 0.5) for number in range(6)]
    measured = agree(experiment(NGINX, rows, server))
    assert outcomes(measured).count("bad_gateway") == 3


@needs_nginx
def test_full_tcp_backlog_is_504_after_connect_timeout() -> None:
    """The kernel drops the SYN, and nginx waits."""
    proxy = replace(NGINX, connect_timeout=0.7)
    rows = [(0.1 + 0.02 * number, 1.5) for number in range(5)]
    measured = agree(experiment(proxy, rows, replace(SYNC, backlog=1)))
    assert outcomes(measured).count("gateway_timeout") == 2


@pytest.mark.parametrize(
    ("proxy", "outcome"),
    [
        pytest.param(NGINX, "bad_gateway", marks=needs_nginx, id="nginx"),
        pytest.param(BALANCER, "bad_gateway", id="alb"),
        pytest.param(Proxy(), "reset", id="direct"),
    ],
)
def test_killed_worker_is_502(proxy: Proxy, outcome: str) -> None:
    """The request that it ran is lost; the one that waits in the accept queue is not."""
    rows = [(0.1, 0.9), (0.3, 0.1), (2.0, 0.1)]
    asked = replace(experiment(proxy, rows, SYNC), disturbances=(Signal(at=0.5, signal="KILL"),))
    assert outcomes(agree(asked, STARTING)) == [outcome, "ok", "ok"]


@pytest.mark.parametrize(
    ("proxy", "body", "lost"),
    [
        pytest.param(KEEPING, 0.0, 0, marks=needs_nginx, id="nginx-retries-get"),
        pytest.param(KEEPING, 0.02, 1, marks=needs_nginx, id="nginx-not-post"),
        pytest.param(BALANCER, 0.0, 1, id="alb-does-not"),
    ],
)
def test_worker_dies_under_a_kept_connection(proxy: Proxy, body: float, lost: int) -> None:
    """Nginx sends a GET once more if it fails on a connection that it had kept, and no POST."""
    server = Server(workers=1, threads=2, worker_class="gthread")
    rows = [(0.1, 0.05), (0.5, 1.0), (2.5, 0.05)]
    asked = replace(
        experiment(proxy, rows, server, body=Distribution("const", (body,))),
        disturbances=(Signal(at=0.8, signal="KILL"),),
    )
    assert outcomes(agree(asked, STARTING)).count("bad_gateway") == lost
