"""What releases do otherwise, measured and predicted side by side: the same experiment for both.

Goal: each behaviour that hurts people is predicted as the real server has it. Method: every release
that behaves otherwise is measured once, several servers at a time (they sleep), and what is looked
at may differ from the prediction by half a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import inf, isinf

import pytest
from release_of import release_of

from reference_app.rig.measure import measure
from reference_app.rig.releases import installed
from sim.analysis.recovery import toll
from sim.experiment import Experiment, LaunchDarkly, Server, TraceRow, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import FlagService, Signal
from sim.model.simulation import predict
from sim.run import Run

OLDEST, POLLER_FIRST, NEWEST = "20.1.0", "23.0.0", installed().release

#: Servers that are measured at the same time.
AT_ONCE = 5

#: s by which a time may be off.
TOLERANCE = 0.5


def server(release: str, **settings: int) -> Server:
    """One worker with two threads, of ``release``, but for the ``settings``."""
    return Server(
        worker_class="gthread",
        preload_app=True,
        gunicorn=release,
        **{"workers": 1, "threads": 2, **settings},  # type: ignore[arg-type]
    )


def trace(*rows: tuple[float, float], **more: object) -> Traffic:
    """Requests that come at such times and wait so long, s."""
    return Traffic(
        arrivals="trace",
        trace=tuple(TraceRow(at, io, 0.0) for at, io in rows),
        drain=8.0,
        **more,  # type: ignore[arg-type]
    )


def silent(release: str) -> Experiment:
    """Clients of a single thread, of which some send nothing for 3 s."""
    slow = Distribution.parse("bimodal:0.5,0,3")
    return Experiment(
        server(release, threads=1),
        traffic=trace((0.0, 0.01), (0.3, 0.01), (0.6, 0.01), (0.9, 0.01), first_byte=slow),
        seed=3,
        replications=1,
    )


def idle(release: str) -> Experiment:
    """SIGTERM to a worker that is idle."""
    return Experiment(
        server(release),
        traffic=trace((0.0, 0.01), (2.5, 0.01)),
        disturbances=(Signal(1.2, "TERM", worker=1),),
        replications=1,
    )


def kept(release: str) -> Experiment:
    """SIGTERM to a server that holds an idle connection."""
    return Experiment(
        server(release, keepalive=60, graceful_timeout=4),
        traffic=trace((0.0, 0.01), (4.5, 0.01), connection="keepalive"),
        disturbances=(Signal(1.2, "TERM", to="master"),),
        replications=1,
    )


def post_fork(release: str) -> Experiment:
    """A worker that waits in `post_fork` for longer than ``timeout``."""
    return Experiment(
        server(release, workers=2, timeout=1),
        traffic=trace((0.0, 0.01), (5.5, 0.01)),
        launchdarkly=LaunchDarkly(enabled=True, start_wait=4.0),
        disturbances=(FlagService(0.3, reachable=False), Signal(0.8, "KILL", worker=1)),
        replications=1,
    )


def long(release: str) -> Experiment:
    """A request that is the last of ``max_requests``, and takes longer than ``timeout``."""
    return Experiment(
        server(release, max_requests=1, timeout=1),
        traffic=trace((0.3, 4.0), (6.0, 0.01)),
        replications=1,
    )


@dataclass(frozen=True)
class Look:
    """What is looked at.

    Attributes:
        experiment: of a release.
        releases: that behave otherwise.
        times: what is compared, s by name; infinity for never.
    """

    experiment: Callable[[str], Experiment]
    releases: tuple[str, ...]
    times: Callable[[Run], dict[str, float]]


def first(run: Run, kind: str, process: str) -> float:
    """When the first such event came, s; infinity for never."""
    times = [e.time for e in run.events if (e.kind, e.process) == (kind, process) and e.time > 0]
    return min(times, default=inf)


def ends(run: Run) -> dict[str, float]:
    """When each request that was answered ended, s; infinity for one that was lost."""
    return {
        f"request {number}": row.finished if row.outcome == "ok" else inf
        for number, row in enumerate(run.requests)
    }


LOOKS = {
    "a silent client": Look(silent, (POLLER_FIRST, NEWEST), ends),
    "SIGTERM while idle": Look(
        idle, (POLLER_FIRST, NEWEST), lambda run: {"exiting": first(run, "exiting", "worker 1")}
    ),
    "SIGTERM with a kept connection": Look(
        kept, (POLLER_FIRST, NEWEST), lambda run: {"exiting": first(run, "exiting", "worker 1")}
    ),
    "a hang in post_fork": Look(
        post_fork,
        (OLDEST, POLLER_FIRST, NEWEST),
        lambda run: {kind: first(run, kind, "worker 3") for kind in ("fork", "timeout", "ready")},
    ),
    "a long request at max_requests": Look(
        long,
        (POLLER_FIRST, NEWEST),
        # When the master looks, from its boot on, is not the experiment's.
        lambda run: {
            **ends(run),
            "timeout": 0.0 if first(run, "timeout", "worker 1") < inf else inf,
        },
    ),
}
CASES = [(name, release) for name, look in LOOKS.items() for release in look.releases]


@pytest.fixture(scope="module")
def measured() -> Iterator[dict[tuple[str, str], Future[Run]]]:
    """Each experiment on each release, as it was measured or is being measured."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            (name, release): pool.submit(
                measure, LOOKS[name].experiment(release), 0, lambda *_: None, release_of(release)
            )
            for name, release in CASES
        }


@pytest.mark.parametrize(("name", "release"), CASES)
def test_a_release_does_what_is_predicted(
    name: str, release: str, measured: dict[tuple[str, str], Future[Run]]
) -> None:
    look = LOOKS[name]
    asked = look.experiment(release)
    run = measured[name, release].result()
    assert run.gunicorn == release
    expected, found = look.times(predict(asked)), look.times(run)
    far = {
        what: (time, found[what])
        for what, time in expected.items()
        if not ((isinf(time) and isinf(found[what])) or abs(time - found[what]) <= TOLERANCE)
    }
    assert not far, f"predicted and measured, s: {far}"


def test_releases_differ_in_what_is_looked_at() -> None:
    """Or nothing that is compared could tell a release from another."""
    for name, look in LOOKS.items():
        runs = [look.times(predict(look.experiment(release))) for release in look.releases]
        assert any(
            abs(one - other) > TOLERANCE or isinf(one) != isinf(other)
            for run in runs[1:]
            for one, other in zip(runs[0].values(), run.values(), strict=True)
            if not (isinf(one) and isinf(other))
        ), name


def test_a_request_is_charged_to_the_timeout_that_killed_its_worker(
    measured: dict[tuple[str, str], Future[Run]],
) -> None:
    run = measured["a long request at max_requests", POLLER_FIRST].result()
    for side in (run, predict(long(POLLER_FIRST))):
        assert [loss.cause for loss in toll(side).losses or ()] == ["worker_timeout"]
