"""The moving picture: what it shows at each moment is what the model says.

Method: Node runs the page's own code, without a browser, on predictions; Python counts the same
from the visits. How it looks and listens is tested in a real browser.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from sim.analysis.picture import picture
from sim.analysis.visits import Occupancy, occupancies, visits
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic
from sim.experiment.distribution import Distribution
from sim.experiment.disturbance import FlagService, Hang, Signal
from sim.model.simulation import predict
from sim.run import Run
from site_docs.playground import assets

TWO = Server(workers=2, threads=2, preload_app=True)
QUIET = Experiment(TWO, traffic=Traffic(rate=56.0, duration=4.0))
TROUBLED = replace(
    QUIET,
    launchdarkly=LaunchDarkly(enabled=True),
    disturbances=(
        Hang(0.4, 2, 1, 1.0),
        Signal(1.0, "KILL", worker=1),
        FlagService(1.5, reachable=False),
        Signal(2.0, "HUP", "master"),
        Signal(3.0, "TERM", "master"),
    ),
)
EXPERIMENTS = {
    "quiet": QUIET,
    "troubled": TROUBLED,
    "sync": replace(QUIET, server=Server(workers=4, preload_app=True)),
    "kept connections": replace(
        QUIET, traffic=Traffic(rate=56.0, duration=4.0, connection="keepalive")
    ),
    "impatient": replace(
        TROUBLED,
        traffic=Traffic(rate=56.0, duration=4.0, io=Distribution("exp", (0.1,)), timeout=0.2),
    ),
    "max_requests": replace(QUIET, server=replace(TWO, max_requests=20)),
}


@pytest.fixture(scope="module")
def _bundled() -> None:
    assets.bundle()


def shown(run: dict[str, Any], times: list[float]) -> dict[str, Any]:
    """What the page's code shows at these moments."""
    done = subprocess.run(
        assets.node("picture.mjs"),
        input=json.dumps({"run": run, "times": times}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def counted(run: Run) -> list[Occupancy]:
    """The states that last long enough for a moment in their middle."""
    states = list(occupancies(visits(run)))
    return [replace(state, time=(state.time + after.time) / 2) for state, after in pairwise(states)]


@pytest.mark.usefixtures("_bundled")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_moment_is_the_models(name: str) -> None:
    run = predict(EXPERIMENTS[name])
    expected = counted(run)
    # Not in order: the reader may scrub back and forth.
    order = sorted(range(len(expected)), key=lambda place: (place % 7, place))
    answer = shown(picture(run), [expected[place].time for place in order])
    for place, state in zip(order, answer["states"], strict=True):
        want, workers = expected[place], [lane for lane in state["lanes"] if lane is not None]
        assert len(state["acceptQueue"]) == want.accept_queue
        waiting = {lane["worker"]: len(lane["waiting"]) for lane in workers if lane["waiting"]}
        assert waiting == want.waiting
        busy = {
            lane["worker"]: sum(request is not None for request in lane["threads"])
            for lane in workers
        }
        assert {worker: number for worker, number in busy.items() if number} == want.busy
        everywhere = [*state["acceptQueue"]]
        for lane in workers:
            everywhere += [*lane["waiting"], *(r for r in lane["threads"] if r is not None)]
        assert len(everywhere) == len(set(everywhere)), "a request is in one place"
        # Who waits longest is first in line.
        arrivals = [run.requests.arrival[request] for request in state["acceptQueue"]]
        assert arrivals == sorted(arrivals)


@pytest.mark.usefixtures("_bundled")
def test_workers_boot_serve_stop_and_go_in_lanes_of_their_own() -> None:
    run = predict(TROUBLED)
    times = [-0.4, 0.3, 1.2, 2.5, 3.9]
    answer = shown(picture(run), times)
    assert answer["lanes"] >= 3
    phases = [
        {lane["worker"]: lane["phase"] for lane in state["lanes"] if lane is not None}
        for state in answer["states"]
    ]
    assert phases[1] == {1: "accepting", 2: "accepting"}
    # The killed worker's lane is its replacement's.
    assert set(phases[2]) == {2, 3}
    assert answer["states"][3]["reachable"] is False
    assert all(phase in ("stopping", "gone") for phase in phases[4].values())


def in_words(state: Occupancy) -> str:
    """A state of two accepting workers of two threads each, as the page says it."""
    parts = [f"accept queue: {state.accept_queue or 'empty'}"]
    for worker in (1, 2):
        busy, waiting = state.busy.get(worker, 0), state.waiting.get(worker, 0)
        words = [f"{busy} of 2 threads busy"] if busy else []
        words += [f"{waiting} waiting"] if waiting else []
        parts.append(f"worker {worker}: {', '.join(words) or 'idle'}")
    return "; ".join(parts)


@pytest.mark.usefixtures("_bundled")
def test_every_moment_is_in_words() -> None:
    run = predict(QUIET)
    expected = counted(run)
    states = shown(picture(run), [state.time for state in expected])["states"]
    assert [state["text"] for state in states] == [in_words(state) for state in expected]
    assert any("idle" in state["text"] and "waiting" in state["text"] for state in states)


@pytest.mark.usefixtures("_bundled")
def test_what_went_wrong_is_in_words() -> None:
    run = predict(TROUBLED)
    reaped = next(event.time for event in run.events if event.kind == "exit")
    killed, late = shown(picture(run), [reaped, 2.5])["states"]
    assert "; worker 1: killed; " in killed["text"]
    assert late["text"].endswith("; LaunchDarkly is unreachable")


@pytest.mark.usefixtures("_bundled")
def test_steps_lead_through_every_event_and_back() -> None:
    run = predict(QUIET)
    document = picture(run)
    moments = sorted(
        {time for row in document["visits"] for time in row[4:6]}
        | {event[0] for event in document["events"]}
    )
    states = shown(document, moments)["states"]
    assert [state["after"] for state in states[:-1]] == moments[1:]
    assert [state["before"] for state in states[1:]] == moments[:-1]
    last = states[-1]
    assert last["answered"] + last["lost"] == len(run.requests)
    assert last["logged"] == len(document["log"])
