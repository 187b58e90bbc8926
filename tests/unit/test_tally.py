"""Runs whose requests are counted and not kept: the same run, in memory that does not grow."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest

from sim import cli
from sim.analysis.summary import Times, summarize
from sim.cli import main
from sim.experiment import Experiment, Server, TraceRow, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import Hang
from sim.model.simulation import predict
from sim.run.arrivals import passes
from sim.run.sketch import RELATIVE_ERROR

SERVER = Server(worker_class="gthread", workers=2, threads=2, backlog=16)
IO = Distribution("const", (0.005,))
TRAFFIC = Traffic(rate=50.0, requests=3_000, cpu=Distribution("exp", (0.002,)))


def experiment(**traffic: object) -> Experiment:
    return Experiment(SERVER, traffic=replace(TRAFFIC, **traffic))  # type: ignore[arg-type]


def same(one: Times | None, other: Times | None) -> None:
    assert one is not None
    assert other is not None
    for name in ("mean", "p50", "p90", "p95", "p99", "max"):
        expected = getattr(one, name).value
        assert getattr(other, name).value == pytest.approx(expected, rel=RELATIVE_ERROR, abs=1e-9)


@pytest.mark.parametrize(
    "asked",
    [
        experiment(),
        experiment(arrivals="constant", connection="keepalive"),
        # Requests that are dropped, and requests without an answer at the end.
        Experiment(replace(SERVER, worker_connections=4), traffic=replace(TRAFFIC, rate=150.0)),
        Experiment(replace(SERVER, max_requests=400), traffic=replace(TRAFFIC, drain=0.0)),
        Experiment(Server(workers=4, backlog=4), traffic=TRAFFIC),
    ],
    ids=["open", "kept connections", "overload", "restarts", "sync"],
)
def test_a_tally_says_what_the_rows_say(asked: Experiment) -> None:
    kept, counted = predict(asked), predict(asked, keep_rows=False)
    assert not counted.requests
    assert counted.events == kept.events
    assert counted.queues == kept.queues
    assert counted.census == kept.census
    one, other = summarize([kept]), summarize([counted])
    assert other.outcomes == one.outcomes
    same(one.latency, other.latency)
    same(one.wait, other.wait)
    same(one.ideal_latency, other.ideal_latency)
    same(one.ideal_wait, other.ideal_wait)
    assert one.throughput is not None
    assert other.throughput is not None
    assert other.throughput.value == pytest.approx(one.throughput.value)
    for before, after in zip(one.workers, other.workers, strict=True):
        assert after.requests == before.requests
        assert before.utilization is not None
        assert after.utilization is not None
        assert after.utilization.value == pytest.approx(before.utilization.value)
    assert other.load.capacity == one.load.capacity


def test_a_tally_of_nothing_that_was_answered_has_no_times() -> None:
    # All clients give up before their requests can be done.
    asked = experiment(requests=20, timeout=0.001, cpu=Distribution("const", (0.01,)))
    kept, counted = predict(asked), predict(asked, keep_rows=False)
    one, other = summarize([kept]), summarize([counted])
    assert one.outcomes == other.outcomes
    assert one.outcomes["timeout"] == 20
    assert one.latency is None
    assert other.latency is None
    assert other.wait is None


def test_memory_does_not_grow_with_the_requests() -> None:
    def peak(requests: int) -> int:
        # All alike, so that the sketches have few buckets from the beginning.
        alike = experiment(requests=requests, arrivals="constant", io=IO, cpu=IO)
        tracemalloc.start()
        predict(alike, keep_rows=False)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)  # what is made once
    few, many = peak(2_000), peak(12_000)
    # Kept rows would take 570 kB more.
    assert many - few < 20_000


@pytest.mark.parametrize(
    "asked",
    [
        experiment(timeout=1.0),
        experiment(retries=1),
        *(
            experiment(**{of: Distribution("const", (0.1,))})
            for of in ("first_byte", "body", "read")
        ),
        experiment(arrivals="closed"),
        experiment(arrivals="trace", trace=(TraceRow(0.0, 0.1, 0.0),)),
        replace(experiment(), disturbances=(Hang(at=1.0, worker=1, threads=1, seconds=1.0),)),
    ],
    ids=[
        *("timeout", "retries", "first byte", "body", "read", "closed", "trace", "disturbance"),
    ],
)
def test_what_needs_rows_keeps_them(asked: Experiment) -> None:
    assert passes(experiment())
    assert not passes(asked)


def test_long_runs_are_counted_unless_saved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    monkeypatch.setattr(cli, "LONG", 500)
    long = ["--requests", "600", "--replications", "1"]
    main(long)
    assert "counted and" in capsys.readouterr().out
    main([*long, "--save", f"{tmp_path}/run"])
    assert "counted and" not in capsys.readouterr().out
    main(["--requests", "500", "--replications", "1"])
    assert "counted and" not in capsys.readouterr().out
