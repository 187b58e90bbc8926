"""The course of a run and the curve of its latency, on runs whose answer is known."""

from __future__ import annotations

import math

import pytest
from disturbed_run import NAN, disturbed_run, rows_of
from queue_run import experiment_of, queue_run

from sim.analysis.capacity import Step
from sim.analysis.course import SLICES, course_of
from sim.analysis.latency_curve import combined_curves, curve_of
from sim.analysis.summary import summarize
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.disturbance import Signal
from sim.model.simulation import predict
from sim.run import Requests, Run


def runs(replications: int = 1, requests: int = 1500) -> list[Run]:
    experiment = experiment_of(server={"workers": 2, "threads": 2}, traffic={"rate": 50.0})
    return [
        queue_run(experiment, requests=requests, replication=number, shares=(0.5, 0.5))
        for number in range(replications)
    ]


def test_the_areas_are_the_times_of_the_requests() -> None:
    (run,) = runs()
    course = course_of(run)
    assert course is not None
    width = course.edges[1] - course.edges[0]
    busy = width * sum(sum(worker.busy) for worker in course.workers)
    waiting = width * sum(sum(worker.waiting) for worker in course.workers)
    rows = run.requests
    ran = math.fsum(rows.finished) - math.fsum(rows.started)
    waited = math.fsum(rows.started) - math.fsum(rows.arrival)
    assert busy == pytest.approx(ran)
    assert waiting == pytest.approx(waited)
    assert len(course.edges) == SLICES + 1
    assert course.edges[-1] == pytest.approx(max(rows.finished))
    assert sum(course.accept_queue) == 0


def test_the_accept_queue_has_what_no_worker_has_accepted() -> None:
    run = predict(Experiment(Server(workers=1), traffic=Traffic(rate=15.0, requests=200)))
    course = course_of(run)
    assert course is not None
    width = course.edges[1] - course.edges[0]
    waited = math.fsum(run.requests.accepted) - math.fsum(run.requests.arrival)
    assert width * sum(course.accept_queue) == pytest.approx(waited)
    assert waited > 1


def test_a_request_is_in_the_slices_that_it_lasts() -> None:
    # The run lasts 24 s, so a slice is 0.1 s: one request from 1.05 s to 1.25 s.
    run = disturbed_run((), rows=rows_of((1.0, 1.05, 1.25, "ok"), (24.0, NAN, 24.0, "refused")))
    course = course_of(run)
    assert course is not None
    (worker,) = course.workers
    assert worker.busy[9:14] == pytest.approx((0.0, 0.5, 1.0, 0.5, 0.0))
    assert course.lost == (24.0,)
    assert course.workers[0].boot_order == 1


def test_a_request_without_an_outcome_may_start_after_all_that_is_known_of_others() -> None:
    rows = rows_of((0.0, 0.0, 1.0, "ok"), (0.5, 2.4, NAN, "unfinished"))
    rows.accepted[1] = 1.5
    run = disturbed_run((), ((3.0, "shutdown", "master"),), rows)
    course = course_of(run)
    assert course is not None
    # It lasts 2.4 s, so a slice is 10 ms: the request is in the accept queue for 1 s of them.
    assert course.edges[-1] == pytest.approx(2.4)
    assert sum(course.accept_queue) == pytest.approx(100)
    (worker,) = course.workers
    assert sum(worker.waiting) == pytest.approx(90)
    assert sum(worker.busy) == pytest.approx(100)


def test_the_capacity_begins_with_the_run() -> None:
    run = disturbed_run(
        (Signal(at=2.0, signal="KILL", to="worker", worker=1),),
        ((2.0, "sent SIGKILL", "worker 1"), (2.1, "exit", "worker 1"), (9.0, "halt", "master")),
        rows_of((1.0, 1.0, 1.1, "ok"), (3.0, 3.0, 3.2, "ok")),
    )
    course = course_of(run)
    assert course is not None
    assert course.capacity == (Step(0.0, 4), Step(2.0, 2))


def test_without_requests_or_time_there_is_no_course() -> None:
    assert course_of(disturbed_run(())) is None
    assert course_of(disturbed_run((), rows=rows_of((0.0, NAN, 0.0, "refused")))) is None
    rows = rows_of((0.0, 0.0, 1.0, "ok"))
    run = disturbed_run((), rows=rows)
    no_events = Run(run.source, run.experiment, 0, rows)
    found = course_of(no_events)
    assert found is not None
    assert found.capacity == (Step(0.0, 0),)


def test_the_curve_goes_through_the_quantiles_of_the_summary() -> None:
    several = runs(3)
    summary = summarize(several)
    curve = combined_curves(map(curve_of, several))
    assert summary.latency is not None
    assert summary.ideal_latency is not None
    for points, times in ((curve.latency, summary.latency), (curve.ideal, summary.ideal_latency)):
        found = {round(share, 9): latency for share, latency in points}
        assert found[0.9] == pytest.approx(times.p90.value, rel=1e-6)
        assert found[0.99] == pytest.approx(times.p99.value, rel=1e-6)
        assert [latency for _, latency in points] == sorted(latency for _, latency in points)


def test_a_curve_ends_at_one_request() -> None:
    (run,) = runs(requests=100)
    assert curve_of(run).latency[-1][0] == pytest.approx(0.99)
    run.requests.outcome[0] = 1
    assert curve_of(run).latency[-1][0] < 0.99
    assert curve_of(run).ideal[-1][0] == pytest.approx(0.99)


def test_of_requests_that_were_not_kept_there_is_a_curve_and_no_course() -> None:
    traffic = Traffic(rate=40.0, requests=400)
    experiment = Experiment(Server(worker_class="gthread", threads=4), traffic=traffic)
    kept, counted = (predict(experiment, keep_rows=keep) for keep in (True, False))
    assert course_of(counted) is None
    pairs = zip(curve_of(kept).latency, curve_of(counted).latency, strict=True)
    for (share, latency), (same, about) in pairs:
        assert share == same
        assert about == pytest.approx(latency, rel=0.003)


def test_without_an_answer_the_curve_is_empty() -> None:
    assert curve_of(disturbed_run((), rows=Requests())).latency == ()
