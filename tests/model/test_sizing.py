"""The search for a configuration finds what theory knows, however it is carried out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import pytest
from study_run import Here, free, known_of, question

from sim.analysis import theory
from sim.experiment import Experiment, Host, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.study.candidates import Candidate, default_workers
from sim.study.conduct import conduct
from sim.study.parameter import Value
from sim.study.question import Question, overload
from sim.study.sizing import Answer, conclude, plan, remaining
from sim.study.sizing_report import binding
from sim.study.trial import Known, submitter

SERVICE = 0.05
THREADS = tuple(range(1, 13))


def answer_of(asked: Question) -> Answer:
    return conclude(asked, known_of(asked))


def settings(candidate: Candidate) -> Mapping[str, Value]:
    return dict(candidate.point)


def smallest(rate: float, limit: float) -> int:
    """Fewest servers of M/M/c whose mean sojourn is at most ``limit`` s."""
    servers = int(rate * SERVICE) + 1
    while theory.mmc_mean_sojourn(rate, SERVICE, servers) > limit:
        servers += 1
    return servers


@pytest.mark.parametrize(("rate", "limit"), [(30.0, 0.075), (100.0, 0.055)])
def test_the_smallest_that_meets_is_erlangs(rate: float, limit: float) -> None:
    # One worker that accepts for free is M/M/c with as many servers as threads.
    asked = question(free(rate), f"mean={limit}s", over={"threads": THREADS})
    answer = answer_of(asked)
    assert answer.complete
    assert answer.best is not None
    expected = smallest(rate, limit)
    assert settings(answer.best.candidate)["threads"] == expected
    assert answer.best.judged.verdict.confidence is not None
    assert answer.best.judged.verdict.confidence > 0.95
    # What cannot keep up is not tried, and the closest of the others is a thread smaller.
    assert answer.overloaded == int(rate * SERVICE)
    if expected - 1 > rate * SERVICE:
        assert settings(answer.misses[0].candidate)["threads"] == expected - 1


def test_it_breaks_where_theory_says() -> None:
    rate, limit, servers = 100.0, 0.065, 7
    asked = question(free(rate), f"mean={limit}s", over={"threads": (servers,)})
    room = answer_of(asked).headroom
    assert room is not None
    assert room.done
    breaks = rate
    while theory.mmc_mean_sojourn(breaks, SERVICE, servers) < limit:
        breaks += 0.1
    assert room.breaks is not None
    assert rate < room.holds < breaks < room.breaks < 1.2 * breaks
    # In between, as many replications as a load gets cannot tell.
    assert all(
        one.verdict.decision == "close"
        for load, one in room.judgements
        if room.holds < load < room.breaks
    )


def test_workers_with_queues_of_their_own_take_more_threads_than_one() -> None:
    over = {"workers": (2,), "threads": THREADS, "worker_connections": (1000,)}
    base = free(100.0, requests=1500)
    apart = answer_of(question(base, "mean=65ms", over={**over, "reuse_port": (True,)}))
    assert apart.best is not None
    # Two M/M/c, each with half of the requests.
    assert apart.best.candidate.server.threads == smallest(50.0, 0.065)
    shared = answer_of(question(base, "mean=65ms", over={**over, "worker_connections": (4,)}))
    assert shared.best is not None
    assert shared.best.candidate.server.threads == 4
    assert 2 * shared.best.candidate.server.threads >= smallest(100.0, 0.065)


# --- the same answer, however it is found ---------------------------------------------------------


SMALL = question(
    free(60.0, requests=300), "p95=200ms", over={"workers": (1, 2), "threads": (3, 4, 6)}, most=12
)


def test_neither_executor_nor_order_decides() -> None:
    here = known_of(SMALL)
    with ThreadPoolExecutor(4) as threads:
        there = known_of(SMALL, threads)
    assert here == there
    assert conclude(SMALL, here) == conclude(SMALL, there)


def test_an_interrupted_search_goes_on_where_it_was() -> None:
    whole = known_of(SMALL)
    known: Known = {}
    executor = Here()
    sessions = 0
    while plan(SMALL, known):
        sessions += 1
        observed = conduct(lambda k: plan(SMALL, k), known, submitter(executor, SMALL.base))
        for _ in islice(observed, 7):
            pass
    assert sessions > 5
    assert conclude(SMALL, known) == conclude(SMALL, whole)
    assert {trial: known[trial] for trial in known if trial in whole}.items() <= whole.items()


def test_what_is_known_more_than_it_takes_does_not_change_the_answer() -> None:
    known = known_of(SMALL)
    base_plan = conclude(SMALL, known)
    submit = submitter(Here(), SMALL.base)
    more = [
        trial._replace(replication=trial.replication + 24)
        for trial in known
        if trial.replication < 2
    ]
    bigger = known | {trial: submit(trial).result() for trial in more}
    assert conclude(SMALL, bigger) == base_plan


def test_at_any_moment_there_is_an_answer_of_what_is_known() -> None:
    known: Known = {}
    assert conclude(SMALL, known).best is None
    bests = []
    for _ in conduct(lambda k: plan(SMALL, k), known, submitter(Here(), SMALL.base)):
        assert remaining(SMALL, known) >= 0
        answer = conclude(SMALL, known)
        bests.append(None if answer.best is None else answer.best.candidate)
    assert bests[0] is None
    assert answer.complete
    # Once something is found, only something smaller takes its place.
    found = [best.size for best in bests if best is not None]
    assert found == sorted(found, reverse=True)


def test_what_is_clear_takes_few_replications_and_what_is_close_takes_all() -> None:
    limit = theory.mmc_mean_sojourn(100.0, SERVICE, 8)
    base = free(100.0, requests=1500)
    known = known_of(question(base, f"mean={limit}s", over={"threads": (6, 8)}))
    points = [dict(trial.point) for trial in known]
    made = Counter(p["threads"] for p in points if p["workers"] == 1 and "cores" not in p)
    assert made[6] < 12
    assert made[8] == 24


# --- nothing meets --------------------------------------------------------------------------------


def test_cores_bind_where_requests_compute() -> None:
    computing = Traffic(rate=24.0, requests=1500, io=_dist("const:0"), cpu=_dist("exp:0.05"))
    base = Experiment(host=Host(cores=1), traffic=computing)
    asked = question(base, "mean=150ms", over={"workers": (1, 2), "threads": (1, 2)}, most=6)
    answer = answer_of(asked)
    assert answer.best is None
    assert answer.complete
    assert answer.overloaded == len(asked.candidates)
    helped = {what.limits for what in answer.what_ifs if what.judged.verdict.decision == "meets"}
    assert helped == {("cores",)}


def test_a_cpu_limit_binds_where_requests_compute_and_cores_idle() -> None:
    computing = Traffic(rate=12.0, requests=900, io=_dist("const:0"), cpu=_dist("exp:0.05"))
    base = Experiment(host=Host(cores=2, cpu_limit=0.5), traffic=computing)
    asked = question(base, "mean=200ms", over={"workers": (1, 2), "threads": (1,)}, most=6)
    answer = answer_of(asked)
    assert answer.best is None
    assert answer.overloaded == len(asked.candidates)
    helped = {what.limits for what in answer.what_ifs if what.judged.verdict.decision == "meets"}
    assert helped == {("cpu_limit",)}
    assert "Binding limit: CPU limit. " in binding(answer.what_ifs)
    assert "with a CPU limit of 1, " in binding(answer.what_ifs)


def test_no_more_workers_are_looked_at_than_a_cpu_limit_keeps_busy() -> None:
    assert max(default_workers(Host(cores=64))) == 129
    assert max(default_workers(Host(cores=64, cpu_limit=0.5))) == 3
    assert max(default_workers(Host(cores=64, cpu_limit=1.5))) == 5
    assert max(default_workers(Host(cores=2, cpu_limit=8.0))) == 5


def test_threads_bind_where_requests_wait() -> None:
    base = free(100.0, requests=1500)
    asked = question(base, "mean=60ms", over={"threads": (4, 5, 6)}, most=6)
    answer = answer_of(asked)
    assert answer.best is None
    assert answer.closest is not None
    assert answer.closest.candidate.server.threads == 6
    helped = {what.limits for what in answer.what_ifs if what.judged.verdict.decision == "meets"}
    assert helped == {("threads",), ("workers",)}


def test_demands_that_take_longer_are_told_without_a_run() -> None:
    asked = question(free(10.0), "p99=200ms", "mean=1s", over={"threads": THREADS})
    assert [floor.measure for floor in asked.floored] == ["p99"]
    # The 99 % quantile of the exponential distribution is ln 100 means.
    assert asked.floored[0].value == pytest.approx(4.605 * SERVICE, rel=0.1)
    assert plan(asked, {}) == []
    assert conclude(asked, {}).complete


# --- a worker dies --------------------------------------------------------------------------------


def test_a_worker_that_dies_takes_what_it_held() -> None:
    base = replace(free(60.0, requests=1200), costs=Experiment().costs)
    over = {
        "workers": (1, 2),
        "threads": (6,),
        "worker_connections": (1000,),
        "reuse_port": (False,),
    }
    answer = answer_of(question(base, "mean=100ms", over=over))
    assert answer.best is not None
    assert answer.best.death is not None
    died = answer.best.death
    assert died.at == pytest.approx(10.0)
    assert died.restored is not None
    assert died.drained is not None
    assert 0 < died.restored <= died.drained < 2
    # The requests that ran: their mean number is the load, 3 erlang.
    assert 1 < died.lost < 6
    alternative = answer.alternatives[0].death
    assert alternative is not None
    assert alternative.lost < died.lost


def test_a_loss_that_nobody_allowed_is_a_miss() -> None:
    # The fifth request that waits finds the queue full, and its client gives up.
    impatient = replace(
        free(100.0, requests=1000),
        traffic=replace(free(100.0, requests=1000).traffic, timeout=0.06),
    )
    over = {"threads": (40,)}
    strict = answer_of(question(impatient, "mean=1s", over=over, most=6))
    assert strict.best is None
    lax = answer_of(question(impatient, "mean=1s", "lost=50%", over=over, most=6))
    assert lax.best is not None


def _dist(text: str) -> Distribution:
    return Distribution.parse(text)


def test_an_event_loop_is_overloaded_by_computing_alone() -> None:
    """Requests that wait need none of its threads: it has connections for 1000 of them."""
    gevent = Experiment(Server(worker_class="gevent"), traffic=Traffic(rate=400.0))
    assert not overload(gevent, ())
    (reason,) = overload(gevent, (("worker_class", "gthread"),))
    assert "20.00 threads busy" in reason
    computing = replace(gevent.traffic, cpu=Distribution("const", (0.003,)))
    (reason,) = overload(replace(gevent, traffic=computing), ())
    assert "compute for 1.20 s" in reason
