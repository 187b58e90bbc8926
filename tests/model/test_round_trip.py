"""Clients that are a round trip away.

Goal: a new connection costs one round trip before the request is sent, and the request and its
response another; a kept connection costs the second only. The server is busy no longer for it.
Method: the same requests with and without, so few that none waits for another.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.errors import ExperimentError
from sim.experiment import Experiment, Host, Proxy, Server, TraceRow, Traffic, WorkerClass
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Signal
from sim.model.simulation import predict
from sim.run import ERROR_5XX, REFUSED, RESET, Run

RTT = 0.05

NEAR = Experiment(
    Server(worker_class="gthread", threads=4, keepalive=60),
    Host(clients="remote"),
    Traffic(
        arrivals="constant",
        rate=2.0,
        requests=20,
        io=Distribution("const", (0.02,)),
        connection="new",
    ),
)


def latencies(run: Run) -> list[float]:
    rows = run.requests
    return [end - begin for begin, end in zip(rows.arrival, rows.finished, strict=True)]


def far(experiment: Experiment) -> Experiment:
    return replace(experiment, host=replace(experiment.host, rtt=RTT))


@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
@pytest.mark.parametrize("timeout", [None, 5.0])
def test_a_new_connection_takes_two_round_trips(
    worker_class: WorkerClass, timeout: float | None
) -> None:
    server = replace(NEAR.server, worker_class=worker_class, threads=1)
    near = replace(NEAR, server=server, traffic=replace(NEAR.traffic, timeout=timeout))
    differences = [
        longer - shorter
        for longer, shorter in zip(
            latencies(predict(far(near))), latencies(predict(near)), strict=True
        )
    ]
    assert differences == pytest.approx([2 * RTT] * 20, abs=0.002)


def test_a_kept_connection_takes_one() -> None:
    kept = replace(NEAR, traffic=replace(NEAR.traffic, connection="keepalive"))
    near, away = latencies(predict(kept)), latencies(predict(far(kept)))
    assert away[0] - near[0] == pytest.approx(2 * RTT, abs=0.002)
    rest = [longer - shorter for longer, shorter in zip(away[1:], near[1:], strict=True)]
    assert rest == pytest.approx([RTT] * 19, abs=0.002)


def test_the_application_starts_so_much_later_and_takes_no_longer() -> None:
    near, away = predict(NEAR).requests, predict(far(NEAR)).requests
    starts = [a - b for a, b in zip(away.started, near.started, strict=True)]
    assert starts == pytest.approx([1.5 * RTT] * 20, abs=0.002)


def test_a_closing_server_waits_for_a_client_that_is_far() -> None:
    """From 26.0 on `sync` waits for the client to close: it is busy for a round trip more."""
    busy = replace(
        NEAR,
        server=Server(worker_class="sync"),
        traffic=replace(NEAR.traffic, rate=30.0, io=Distribution("const", (0.0,)), requests=300),
    )
    assert max(latencies(predict(busy))) < 0.02
    assert max(latencies(predict(far(busy)))) > 1.0


def test_the_main_thread_of_gthread_waits_for_it_too() -> None:
    """Sixteen a second: the second arrives before the FIN of the client before it."""
    computes = Distribution("const", (0.001,))
    slower = replace(NEAR, traffic=replace(NEAR.traffic, rate=16.0, cpu=computes))
    before = replace(slower, server=replace(slower.server, gunicorn="23.0.0"))
    longer = [
        after - earlier
        for after, earlier in zip(
            latencies(predict(far(slower))), latencies(predict(far(before))), strict=True
        )
    ]
    service = latencies(predict(slower))[0]
    assert longer[:2] == pytest.approx([0.0, service + RTT - 1 / 16], abs=0.002)
    # Not longer: all clients close a round trip after their responses, whoever waits for them.
    assert max(longer[1:]) < RTT + 0.002


def test_a_client_is_refused_after_one_and_reset_after_two() -> None:
    """A SYN that came in time, and whose ACK did not, is a connection that nobody has."""
    killed = replace(
        NEAR,
        traffic=replace(NEAR.traffic, arrivals="constant", rate=100.0, requests=100),
        disturbances=(Signal(at=0.5, signal="KILL", to="all"),),
    )
    rows = predict(far(killed)).requests
    ends = [
        (outcome, end - begin)
        for outcome, begin, end in zip(rows.outcome, rows.arrival, rows.finished, strict=True)
    ]
    between = [
        row for row, at in enumerate(rows.arrival) if 0.5 - 1.5 * RTT < at < 0.5 - RTT / 2 - 0.005
    ]
    after = [row for row, at in enumerate(rows.arrival) if at > 0.5 - RTT / 2]
    assert len(between) >= 4
    for rows_of, outcome, took in ((between, RESET, 2 * RTT), (after, REFUSED, RTT)):
        assert {ends[row][0] for row in rows_of} == {outcome}
        assert [ends[row][1] for row in rows_of] == pytest.approx([took] * len(rows_of), abs=0.002)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ({"rtt": -0.1, "clients": "remote"}, "rtt is -0.1; expected a finite number >= 0"),
        ({"rtt": float("nan"), "clients": "remote"}, "rtt is nan; expected a finite number >= 0"),
        ({"rtt": 0.02}, "rtt is 0.02 and clients is 'local'; expected 'remote'"),
    ],
)
def test_a_round_trip_that_cannot_be_is_refused(host: dict[str, object], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        Host(**host)  # type: ignore[arg-type] # as a document has it


def test_with_a_proxy_it_is_refused() -> None:
    with pytest.raises(ExperimentError, match="expected no proxy and no Unix socket"):
        replace(far(NEAR), proxy=Proxy(kind="nginx"))


def test_a_500_of_an_aborted_request_is_on_its_way_for_half_a_round_trip() -> None:
    """The master looks at the same moments, wherever the client is."""
    traffic = Traffic(arrivals="trace", trace=(TraceRow(0.5, 30.0, 0.0),))
    near = Experiment(Server(timeout=2), Host(clients="remote"), traffic)
    runs = [predict(it).requests for it in (near, far(near))]
    assert [run.outcome[0] for run in runs] == [ERROR_5XX] * 2
    assert runs[1].finished[0] - runs[0].finished[0] == pytest.approx(RTT / 2, abs=0.0001)
