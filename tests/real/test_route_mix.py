"""A mix of routes on the real server: each request demands what its own route says."""

from __future__ import annotations

from dataclasses import replace

from route_mix import MIX

from reference_app.rig.measure import measure
from sim.analysis.summary import summarize
from sim.model.simulation import predict
from sim.run.arrivals import schedule

#: Half as long as where times are judged; beside other tests, responses may come late.
SHORT = replace(MIX, traffic=replace(MIX.traffic, duration=2.0, drain=10.0))


def test_the_server_runs_each_request_as_its_route_says() -> None:
    run = measure(SHORT, 0, lambda *_: None)
    rows, sent = run.requests, schedule(SHORT, 0)
    assert (rows.routes, list(rows.route)) == (sent.routes, list(sent.route))
    assert {row.outcome for row in rows} == {"ok"}
    # The service does what the row demands, however busy the machine is.
    for row in rows:
        assert row.finished - row.started >= row.io + row.cpu
    measured, predicted = summarize([run]).routes, summarize([predict(SHORT)]).routes
    assert [route.name for route in measured] == [route.name for route in predicted]
    assert [route.requests for route in measured] == [route.requests for route in predicted]
    health, report = (route.latency for route in measured)
    assert health is not None
    assert report is not None
    assert health.p50.value < report.p50.value
