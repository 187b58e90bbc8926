"""Routes: kinds of request, drawn from streams of their own, with a row each in every report."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from route_mix import TOML

from sim.analysis.summary import summarize
from sim.cli import main
from sim.errors import ExperimentError
from sim.experiment import Experiment, Probe, Route, Server, TraceRow, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Rate
from sim.experiment.document import to_dict
from sim.model.simulation import predict
from sim.reading import experiment_file, route_flag, trace_file
from sim.run import Request, Requests, load, save
from sim.run.arrivals import passes, schedule
from sim.run.one_more_request import with_one_more
from sim.run.requests import NO_ROUTE

HEALTH = Route("/health", 0.75, cpu=Distribution("const", (0.001,)))
REPORT = Route("/report", 0.25, Distribution("exp", (0.3,)), Distribution("const", (0.02,)))
SERVER = Server(workers=2, threads=4)


def experiment(*routes: Route, **traffic: object) -> Experiment:
    made = Traffic(rate=20.0, duration=20.0, routes=routes or (HEALTH, REPORT))
    return Experiment(SERVER, traffic=replace(made, **traffic), replications=2)  # type: ignore[arg-type]


def sent(rows: Iterable[Request]) -> list[tuple[float, float, float, str | None]]:
    return [(row.arrival, row.io, row.cpu, row.route) for row in rows]


def demands(requests: Requests, route: str) -> list[tuple[float, float]]:
    return [(row.io, row.cpu) for row in requests if row.route == route]


# What is drawn.


def test_each_route_comes_as_often_as_its_share_says_and_demands_what_is_its_own() -> None:
    rows = schedule(experiment(requests=4_000), 0)
    number = Counter(row.route for row in rows)
    # Four standard deviations of a binomial count.
    assert number["/report"] == pytest.approx(1_000, abs=4 * math.sqrt(4_000 * 0.25 * 0.75))
    assert set(demands(rows, "/health")) == {(0.0, 0.001)}
    reports = demands(rows, "/report")
    assert {cpu for _, cpu in reports} == {0.02}
    assert math.fsum(io for io, _ in reports) / len(reports) == pytest.approx(0.3, rel=0.15)


def test_arrivals_are_those_of_the_same_seed_without_routes() -> None:
    without = Experiment(SERVER, traffic=Traffic(rate=20.0, duration=20.0))
    assert schedule(experiment(), 3).arrival == schedule(without, 3).arrival


def test_a_route_that_goes_elsewhere_leaves_all_other_requests_as_they_are() -> None:
    everything = schedule(experiment(), 0)
    rest = schedule(experiment(HEALTH, replace(REPORT, elsewhere=True)), 0)
    alone = schedule(experiment(replace(HEALTH, elsewhere=True), REPORT), 0)
    assert sent(rest) == sent(row for row in everything if row.route == "/health")
    assert sent(alone) == sent(row for row in everything if row.route == "/report")
    assert (rest.routes, alone.routes) == (("/health",), ("/report",))


def test_another_demand_of_one_route_leaves_the_demands_of_the_others() -> None:
    slower = replace(REPORT, io=Distribution("uniform", (1.0, 2.0)))
    before, after = schedule(experiment(), 0), schedule(experiment(HEALTH, slower), 0)
    assert demands(before, "/health") == demands(after, "/health")
    assert [row.arrival for row in before] == [row.arrival for row in after]


def test_users_of_a_closed_loop_choose_a_route_for_each_request() -> None:
    run = predict(experiment(arrivals="closed", users=8, requests=600))
    number = Counter(row.route for row in run.requests)
    assert number.total() == 600
    assert number["/report"] == pytest.approx(150, abs=4 * math.sqrt(600 * 0.25 * 0.75))
    assert set(demands(run.requests, "/health")) == {(0.0, 0.001)}


def test_runs_with_routes_keep_their_rows() -> None:
    assert not passes(experiment())


def test_one_more_request_keeps_the_routes_of_the_others() -> None:
    one_more = with_one_more(experiment(), 5.0, 1.0, 0.0)
    rows = schedule(one_more, 0)
    assert sent(row for row in rows if row.route is not None) == sent(schedule(experiment(), 0))
    assert [(row.arrival, row.io) for row in rows if row.route is None] == [(5.0, 1.0)]


def test_the_offered_load_is_of_the_routes_that_this_server_gets() -> None:
    assert experiment().offered_load == pytest.approx(20 * (0.75 * 0.001 + 0.25 * 0.32))
    rest = experiment(HEALTH, replace(REPORT, elsewhere=True))
    assert rest.offered_load == pytest.approx(20 * 0.75 * 0.001)
    for each in (experiment(), rest):
        assert summarize([predict(each)]).load.offered == pytest.approx(each.offered_load)


# What comes out.


def test_a_summary_has_a_row_for_each_route() -> None:
    run = predict(experiment())
    summary = summarize([run])
    health, report = summary.routes
    assert (health.name, report.name) == ("/health", "/report")
    assert health.requests.value + report.requests.value == len(run.requests)
    assert report.latency is not None
    assert report.wait is not None
    latencies = [row.latency for row in run.requests if row.route == "/report"]
    waits = [row.wait for row in run.requests if row.route == "/report"]
    assert report.latency.mean.value == pytest.approx(math.fsum(latencies) / len(latencies))
    assert report.latency.max.value == max(latencies)
    assert report.wait.mean.value == pytest.approx(math.fsum(waits) / len(waits))
    assert report.lost is not None
    assert report.lost.value == 0.0


def test_what_a_route_loses_is_its_own() -> None:
    # Clients give up after 0.1 s: most reports take longer, and health checks only in a queue.
    summary = summarize([predict(experiment(timeout=0.1))])
    lost = {route.name: route.lost.value for route in summary.routes if route.lost is not None}
    assert lost["/report"] > 0.5
    assert lost["/health"] < 0.1
    total = sum(route.requests.value * lost[route.name] for route in summary.routes)
    assert total == pytest.approx(summary.outcomes["timeout"])


def test_a_route_without_a_request_has_no_numbers() -> None:
    never = Route("/never", 1e-9)
    summary = summarize([predict(experiment(replace(HEALTH, share=1 - 1e-9), never))])
    *_, row = summary.routes
    assert (row.latency, row.wait, row.lost, row.requests.value) == (None, None, None, 0.0)


def test_a_saved_run_comes_back_with_its_routes(tmp_path: Path) -> None:
    run = predict(experiment())
    save([run], tmp_path / "run")
    (again,) = load(tmp_path / "run")
    assert again == run
    assert again.requests.routes == ("/health", "/report")


def test_probes_have_no_route_and_leave_those_of_requests() -> None:
    asked = replace(experiment(requests=100), probes=(Probe("liveness", period=0.5),))
    run = predict(asked)
    assert run.probes
    assert {probed.request.route for probed in run.probes} == {None}
    assert sent(run.requests) == sent(schedule(experiment(requests=100), 0))


def test_a_run_without_routes_is_saved_without_them(tmp_path: Path) -> None:
    run = predict(Experiment(SERVER, traffic=Traffic(requests=5)))
    save([run], tmp_path / "run")
    header, *lines = (tmp_path / "run").read_text().splitlines()
    assert "routes" not in json.loads(header)
    assert {len(json.loads(line)["request"]) for line in lines if "request" in line} == {9}
    assert "route" not in to_dict(Experiment())["traffic"]
    assert load(tmp_path / "run")[0] == run


def test_a_saved_request_needs_a_route_where_its_run_has_routes(tmp_path: Path) -> None:
    path = tmp_path / "run"
    save([predict(experiment(requests=3))], path)
    path.write_text(path.read_text().replace(', "/health"]', "]", 1))
    with pytest.raises(ExperimentError, match="a request has a route if its run has routes"):
        load(path)


FLAGS = (
    *("--workers", "2", "--threads", "4", "--rate", "20", "--duration", "5"),
    *("--replications", "2", "--route", "/health share=.75 cpu=const:.001"),
    *("--route", "/report share=.25 io=exp:.3 cpu=const:.02"),
)


def test_the_report_has_a_row_for_each_route(capsys: pytest.CaptureFixture[str]) -> None:
    main(FLAGS)
    lines = capsys.readouterr().out.splitlines()
    (heading,) = (line for line in lines if line.startswith("route, ms"))
    assert heading.split()[2:] == ["requests", "mean", "p50", "p95", "p99", "wait", "lost"]
    assert sum(line.startswith(("/health ", "/report ")) for line in lines) == 2
    assert "routes /health 75%, /report 25%" in " ".join(lines)


def test_the_json_document_has_a_row_for_each_route(capsys: pytest.CaptureFixture[str]) -> None:
    main([*FLAGS, "--json"])
    document = json.loads(capsys.readouterr().out)
    schema = files("sim.reports").joinpath("schema", "summary.schema.json").read_text("utf-8")
    jsonschema.Draft202012Validator(json.loads(schema)).validate(document)
    health, report = document["routes"]
    assert (health["route"], report["route"]) == ("/health", "/report")
    assert health["latency_s"]["p99"] < report["latency_s"]["p99"]
    assert health["confidence"]["latency_s"]["mean"] is not None
    assert [row["name"] for row in document["experiment"]["traffic"]["route"]] == [
        "/health",
        "/report",
    ]
    assert "io" not in document["experiment"]["traffic"]
    main(["--requests", "5", "--replications", "1", "--json"])
    assert "routes" not in json.loads(capsys.readouterr().out)


def test_a_route_goes_elsewhere_by_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (("--without-route", "/report"), ("--only-route", "/health")):
        main([*FLAGS, *flags, "--json"])
        document = json.loads(capsys.readouterr().out)
        assert [row["route"] for row in document["routes"]] == ["/health"]


# How it is written.


def test_a_file_and_flags_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(TOML)
    assert experiment_file.read(path).traffic.routes == (HEALTH, REPORT)
    assert route_flag.parse("/report share=.25 io=exp:.3 cpu=const:.02") == REPORT


def test_a_document_comes_back() -> None:
    for asked in (experiment(), experiment(HEALTH, replace(REPORT, elsewhere=True))):
        assert experiment_file.from_dict(to_dict(asked), "here") == asked


def test_a_trace_has_routes_too(tmp_path: Path) -> None:
    rows = (TraceRow(0.0, 0.1, 0.0, "/a"), TraceRow(1.0, 0.2, 0.0, "/b"), TraceRow(2, 0, 0, "/a"))
    trace_file.write(tmp_path / "t.csv", rows)
    assert (tmp_path / "t.csv").read_text().startswith("arrival_s,io_s,cpu_s,route\n")
    assert trace_file.read(tmp_path / "t.csv") == rows
    asked = Experiment(SERVER, traffic=Traffic(arrivals="trace", trace=rows))
    assert experiment_file.from_dict(to_dict(asked), "here") == asked
    assert [route.requests.value for route in summarize([predict(asked)]).routes] == [2, 1]


def test_a_trace_loses_the_rows_of_a_route_that_goes_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_text("arrival_s,io_s,cpu_s,route\n0,.1,0,/a\n1,.2,0,/b\n2,0,0,/a\n")
    main(["--trace", f"{tmp_path}/t.csv", "--without-route", "/a", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["experiment"]["traffic"]["trace"] == [[1.0, 0.2, 0.0, "/b"]]


REFUSED_FILES = {
    "shares": (TOML.replace("0.25", "0.3"), r"add up to 1.05 \(0.75 \+ 0.3\); expected 1"),
    "twice": (TOML.replace("/report", "/health"), "route '/health' is given twice"),
    "none": (
        TOML.replace("0.25", "0"),
        "route '/report': share is 0.0; expected a finite number >",
    ),
    "above 1": (TOML.replace("0.25", "1.5"), "share is 1.5; expected a part of 1"),
    "unknown key": (TOML.replace("cpu", "cpus"), "unknown key 'cpus'; did you mean 'cpu'"),
    "no share": (TOML.replace("share = 0.25", ""), "2 has no key 'share'; expected a number"),
    "no name": (TOML.replace('name = "/report"', ""), "has no key 'name'; expected text"),
    "blank": (TOML.replace("/report", "a b"), "route 'a b': expected a name without blanks"),
    "distribution": (TOML.replace("exp:0.3", "exp"), "io: distribution 'exp' is not understood"),
    "io too": ('[traffic]\nio = "exp:0.1"\n' + TOML, "both io and .*; expected io in each route"),
    "no table": ("[traffic]\nroute = 3", r"route is 3; expected tables \[\[route\]\]"),
    "plural": ("[traffic]\nroutes = []", "unknown key 'routes'; did you mean 'route'"),
    "no route": ("[traffic]\nroute = []\n[[disturbance]]", "has no key 'kind'"),
    "all elsewhere": (
        TOML.replace("cpu", "elsewhere = true\ncpu"),
        "every route is elsewhere; expected one that this server gets",
    ),
    "closed": (
        '[traffic]\narrivals = "closed"' + TOML + "elsewhere = true",
        "elsewhere, but arrivals is 'closed'",
    ),
    "trace": ("[traffic]\ntrace = [[0, 0, 0]]" + TOML, "both a trace and routes"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED_FILES.values(), ids=REFUSED_FILES)
def test_a_file_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(ExperimentError, match=message) as caught:
        experiment_file.read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


ROUTE = ("--route", "/a share=1")

REFUSED_FLAGS = {
    "no name": (("--route", "share=1"), "there is no name; expected 'NAME share=PART"),
    "empty": (("--route", ""), "there is no name"),
    "no share": (("--route", "/a io=exp:1"), "there is no share; expected 'NAME share=PART"),
    "share": (("--route", "/a share=x"), "share is 'x'; expected a number"),
    "key": (("--route", "/a share=1 ipu=const:1"), "'ipu' is unknown; did you mean 'cpu'"),
    "key twice": (("--route", "/a share=1 share=1"), "'share' is given twice"),
    "no value": (("--route", "/a share=1 io"), "'io' has no value; expected io=VALUE"),
    "shares": (("--route", "/a share=.5"), "the shares of the routes add up to 0.5 (0.5)"),
    "twice": ((*ROUTE, *ROUTE), "route '/a' is given twice"),
    "io too": ((*ROUTE, "--io", "exp:1"), "--io and --route are both given"),
    "cpu too": ((*ROUTE, "--cpu", "exp:1"), "--cpu and --route are both given"),
    "trace": ((*ROUTE, "--trace", "TRACE"), "--route is given, but arrivals is 'trace'"),
    "no routes": (("--without-route", "/a"), "--without-route is given without routes"),
    "unknown": (
        (*ROUTE, "--only-route", "/b"),
        "--only-route: route '/b' is unknown; expected one of /a",
    ),
    "both": (
        (*ROUTE, "--only-route", "/a", "--without-route", "/a"),
        "--without-route and --only-route are both given",
    ),
    "nothing left": ((*ROUTE, "--without-route", "/a"), "--without-route: no route is left"),
    "io over a file's": (
        ("--experiment", "FILE", "--io", "exp:1"),
        "has routes, each with its own; expected --route",
    ),
}


@pytest.mark.parametrize(("flags", "message"), REFUSED_FLAGS.values(), ids=REFUSED_FLAGS)
def test_flags_are_refused_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    message: str,
) -> None:
    (tmp_path / "x.toml").write_text(TOML)
    (tmp_path / "t.csv").write_text("arrival_s,io_s,cpu_s\n0,0,0\n")
    names = {"FILE": f"{tmp_path}/x.toml", "TRACE": f"{tmp_path}/t.csv"}
    given = [names.get(flag, flag) for flag in flags]
    try:
        with pytest.raises(ExperimentError) as caught:
            main(given)
    except SystemExit:
        shown = capsys.readouterr().err
    else:
        shown = str(caught.value)
    assert message in shown
    assert len(shown.strip().splitlines()) == 1


def test_flags_replace_the_routes_and_the_demand_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    for text in (TOML, '[traffic]\nio = "exp:1"'):
        path.write_text(text)
        saved = tmp_path / "run"
        flags = ("--experiment", str(path), *ROUTE, "--requests", "3", "--replications", "1")
        main([*flags, "--save", str(saved)])
        assert load(saved)[0].requests.routes == ("/a",)


def test_the_rate_changes_for_all_routes() -> None:
    asked = replace(experiment(), disturbances=(Rate(at=10.0, rate=0.0),))
    rows = schedule(asked, 0)
    assert max(rows.arrival) < 10.0
    before = schedule(experiment(), 0)
    assert sent(rows) == sent(row for row in before if row.arrival < 10.0)


def test_a_request_of_no_route_counts_in_the_whole_only() -> None:
    run = predict(
        Experiment(
            Server(workers=1), traffic=Traffic(rate=20.0, requests=50, routes=(HEALTH, REPORT))
        )
    )
    before = summarize([run])
    name = run.requests.routes[run.requests.route[0]]
    run.requests.route[0] = NO_ROUTE
    after = summarize([run])
    assert after.requests == before.requests
    fewer = {
        old.name: (old.requests.value or 0) - (new.requests.value or 0)
        for old, new in zip(before.routes, after.routes, strict=True)
    }
    assert fewer == {each.name: float(each.name == name) for each in (HEALTH, REPORT)}
