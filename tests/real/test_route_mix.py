"""A mix of routes on the real server: each request demands what its own route says."""

from __future__ import annotations

from reference_app.rig.measure import measure
from sim.analysis.summary import summarize
from sim.experiment import Experiment, Route, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.model.simulation import predict
from sim.run.arrivals import schedule

#: Threads are busy for six tenths of the time.
MIX = Experiment(
    Server(workers=1, threads=4, preload_app=True),
    traffic=Traffic(
        rate=50.0,
        duration=2.0,
        drain=10.0,
        routes=(
            Route("/health", 0.6, Distribution("const", (0.004,))),
            Route("/report", 0.4, Distribution("exp", (0.12,)), Distribution("const", (0.002,))),
        ),
    ),
    seed=5,
    replications=1,
)


def test_the_server_runs_each_request_as_its_route_says() -> None:
    run = measure(MIX, 0, lambda *_: None)
    rows, sent = run.requests, schedule(MIX, 0)
    assert (rows.routes, list(rows.route)) == (sent.routes, list(sent.route))
    assert {row.outcome for row in rows} == {"ok"}
    # The service does what the row demands, however busy the machine is.
    for row in rows:
        assert row.finished - row.started >= row.io + row.cpu
    measured, predicted = summarize([run]).routes, summarize([predict(MIX)]).routes
    assert [route.name for route in measured] == [route.name for route in predicted]
    assert [route.requests for route in measured] == [route.requests for route in predicted]
    health, report = (route.latency for route in measured)
    assert health is not None
    assert report is not None
    assert health.p50.value < report.p50.value
