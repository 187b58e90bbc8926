"""The moving picture's data: plain, whole, and the same as what the command reads."""

from __future__ import annotations

import json

from hypothesis import given, settings
from strategies import troubled

from sim.analysis.gunicorn_log import gunicorn_log
from sim.analysis.picture import picture
from sim.analysis.visits import visits
from sim.experiment import Experiment, LaunchDarkly, Server, Traffic
from sim.experiment.disturbance import FlagService, Hang, Rate, Signal
from sim.model.simulation import predict

EXPERIMENT = Experiment(
    Server(workers=2, threads=2, preload_app=True),
    traffic=Traffic(rate=56.0, duration=4.0),
    launchdarkly=LaunchDarkly(enabled=True),
    disturbances=(
        Hang(0.5, 2, 1, 1.0),
        FlagService(1.0, reachable=False),
        Signal(2.0, "KILL", worker=1),
        Signal(2.5, "HUP", "master"),
        Rate(3.0, 10.0),
    ),
)


def test_it_is_what_the_command_reads() -> None:
    run = predict(EXPERIMENT)
    document = picture(run)
    found = visits(run)
    assert len(document["visits"]) == len(found)
    for row, visit in zip(document["visits"], found, strict=True):
        assert document["places"][row[1]] == visit.place
        assert (row[0], *row[2:]) == (visit.request, *visit[2:])
    assert [tuple(line) for line in document["log"]] == list(gunicorn_log(run))
    assert len(document["requests"]) == len(run.requests)
    assert document["requests"][7] == list(run.requests[7])
    assert document["end"] >= max(visit.end for visit in found)
    assert document["begin"] == run.events[0].time < 0


def test_what_the_experiment_did_is_in_words() -> None:
    done = picture(predict(EXPERIMENT))["done"]
    assert done == [
        [0.5, "The next requests of worker 2 will hang"],
        [1.0, "LaunchDarkly: unreachable"],
        [2.0, "SIGKILL to worker 1"],
        [2.5, "SIGHUP to the master"],
        [3.0, "Clients send 10 requests/s from now on"],
    ]


def test_workers_have_their_lives_and_the_flag_service_its_own() -> None:
    document = picture(predict(EXPERIMENT))
    first, second, third, *_ = document["workers"]
    assert [first["why"], second["why"]] == ["killed", "stopped"]
    assert first["ended"] < third["forked"] < (third["ready"] or 99.0)
    assert [worker["pid"] for worker in document["workers"]] == [2, 3, 4, 5, 6]
    begin = document["begin"]
    assert document["flag_service"] == [[begin, True], [1.0, False]]
    ((request, until),) = document["hangs"]
    (visit,) = [v for v in document["visits"] if v[0] == request and v[3]]
    assert visit[2] == 2
    assert visit[4] + 1.0 <= until <= visit[5]


@settings(max_examples=30)
@given(troubled)
def test_it_is_plain_json_whatever_goes_wrong(experiment: Experiment) -> None:
    document = picture(predict(experiment))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
