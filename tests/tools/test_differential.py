"""The campaign that holds the model against real Gunicorn: its experiments, looks and rows.

`python -m tests.differential` measures; here predictions stand for measurements.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
from predictions import CONTEXT, predicted_run
from rank_test import LOOKS, VARIANTS

from reference_app.rig.deployment import refuse_unplayable
from sim.errors import ExperimentError
from sim.experiment import Experiment, Server, Traffic
from sim.experiment.costs import Costs
from sim.experiment.document import to_dict
from sim.reading.experiment_file import from_dict
from sim.run import Run
from sim.study.check.scenario import length
from tests.differential import campaign
from tests.differential.campaign import at_least, judged, looks, report
from tests.differential.rows import Row, read
from tests.differential.small_experiment import SECONDS, SERVERS, small_experiment
from tests.json_rows import open_rows, write_row

EXPERIMENT = Experiment(Server(workers=2), traffic=Traffic(rate=100.0, requests=60))


def test_experiments_are_small_and_of_every_server() -> None:
    experiments = [small_experiment(7, number) for number in range(2 * len(SERVERS))]
    for experiment in experiments:
        assert length(experiment) <= SECONDS + 0.01
        assert not experiment.disturbances
        refuse_unplayable(experiment)
        assert from_dict(to_dict(experiment), "it") == experiment
    servers = [(one.server.worker_class, one.server.gunicorn) for one in experiments]
    assert servers == [*SERVERS, *SERVERS]
    assert experiments[3] == small_experiment(7, 3)
    assert experiments[3] != small_experiment(8, 3)


@pytest.fixture(scope="module")
def predicted() -> list[Run]:
    return [predicted_run(EXPERIMENT, variant) for variant in range(CONTEXT + VARIANTS)]


def slower(experiment: Experiment) -> Run:
    """A server that takes three times as long as is predicted."""
    run = predicted_run(experiment, 1_000)
    for row, arrival in enumerate(run.requests.arrival):
        run.requests.finished[row] += 2 * (run.requests.finished[row] - arrival)
    return run


def test_a_server_that_differs_surprises_at_every_look(predicted: list[Run]) -> None:
    complaints = looks(EXPERIMENT, predicted, slower)
    assert len(complaints) == LOOKS
    assert complaints[0].startswith("latencies: distance from the predicted: ")


def test_a_server_that_differs_once_is_looked_at_again(predicted: list[Run]) -> None:
    measured = [predicted_run(EXPERIMENT, 2_000), slower(EXPERIMENT)]
    complaints = looks(EXPERIMENT, predicted, lambda _: measured.pop())
    assert len(complaints) == 1
    assert measured == []


def test_a_process_lives_as_this_machine_has_it_now(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = [{"finalize": 3 * Costs().finalize}, {"finalize": 2 * Costs().finalize}]
    monkeypatch.setattr(campaign, "life_costs", lambda *_, **__: measured.pop())
    life, asked = campaign.Life(), Costs(finalize=0.5, boot=0.25)
    for _ in range(2):
        assert life.of(asked) == Costs(finalize=1.0, boot=0.25)
    monkeypatch.setattr(campaign, "FRESH", 0.0)
    assert life.of(asked).finalize == pytest.approx(1.5)


def row(number: int, complaints: int, error: str = "") -> Row:
    return Row(7, number, "abc", "AMD", "sync", "27.0.1", {}, ["mean: 2"] * complaints, error)


def test_rows_are_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with open_rows(path) as file:
        write_row(file, row(1, 0))
        file.write('{"seed": 7, "num')
    with open_rows(path) as file:
        write_row(file, row(2, 1))
    assert read(path) == [row(1, 0), row(2, 1)]
    assert read(tmp_path / "none") == []


def test_a_server_that_cannot_be_measured_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "in_processes", lambda function, *given: [*map(function, *given)])

    def broken(_: Experiment) -> Run:
        raise ExperimentError("Gunicorn exited with 1")

    deadline = time.monotonic() + 60
    (found,) = judged([(5, EXPERIMENT)], deadline, broken, 7, "abc", "AMD")
    assert (found.number, found.error) == (5, "Gunicorn exited with 1")
    assert [*judged([(5, EXPERIMENT)], time.monotonic(), broken, 7, "abc", "AMD")] == []


def test_the_report_has_what_chance_alone_would_find() -> None:
    rows = [*(row(number, 0) for number in range(86)), row(86, 1), row(87, LOOKS), row(88, 0, "no")]
    assert report(rows).splitlines() == [
        "88 experiments; first looks that surprise: 2, expected 1.0 (as many or more by chance: "
        "0.26)",
        "surprises at each of 3 looks: 1, expected 0.00075",
        "  sync on 27.0.1: 2 surprised",
        "number 87, sync on 27.0.1, fails:",
        *["  mean: 2"] * LOOKS,
        "number 88 was not measured: no",
    ]
    assert math.isclose(at_least(1, 2, 0.5), 0.75)
    assert at_least(0, 10, 0.1) == pytest.approx(1)
