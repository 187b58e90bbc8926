"""Which costs decide what an unknown machine does is predicted, and the page has that."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from sim.errors import ExperimentError
from sim.experiment import Traffic
from sim.experiment.cost_ranges import RANGES, sides
from sim.experiment.costs import Costs
from sim.study import machine_sensitivity, sensitivity
from sim.study.machine_sensitivity import machine_sensitivities, weight
from sim.study.sensitivity import EXPERIMENTS, NO_MOVE
from sim.study.sensitivity_report import print_machines
from site_docs.rendering import machines as page


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two experiments of few requests, and few ranges."""
    for name in set(EXPERIMENTS) - {"gthread 2 x 2", "gthread 1 x 4"}:
        monkeypatch.delitem(EXPERIMENTS, name)
    for name, experiment in EXPERIMENTS.items():
        traffic = Traffic(rate=56.0, requests=100, io=experiment.traffic.io)
        monkeypatch.setitem(EXPERIMENTS, name, replace(experiment, traffic=traffic))
    few = [side for side in sides(Costs()) if side.name in {"waking", "wake_late", "reload"}]
    monkeypatch.setattr(machine_sensitivity, "sides", lambda _: few)
    monkeypatch.setattr(machine_sensitivity, "VARIANTS", 4)
    monkeypatch.setattr(machine_sensitivity, "MACHINES", 4)
    monkeypatch.setattr(machine_sensitivity, "experiments", lambda: dict(sensitivity.EXPERIMENTS))


@pytest.mark.usefixtures("short")
def test_a_range_moves_what_uses_it_and_nothing_else() -> None:
    with ThreadPoolExecutor(1) as executor:
        document = machine_sensitivities(executor)
    rows = {row["name"]: row for row in document["ranges"]}
    assert set(rows) == {"waking", "wake_late", "reload"}
    low, high = rows["waking"]["moves"]["gthread 1 x 4"]
    assert low["mean"] < 0 < high["mean"]
    # One worker races with nobody, and nothing reloads.
    assert rows["wake_late"]["moves"]["gthread 1 x 4"] == [NO_MOVE, NO_MOVE]
    assert all(moves == [NO_MOVE, NO_MOVE] for moves in rows["reload"]["moves"].values())
    assert weight(rows["reload"]) == 0
    # What moves most comes first.
    weights = [weight(row) for row in document["ranges"]]
    assert weights == sorted(weights, reverse=True)
    mean = document["experiments"]["gthread 1 x 4"]["mean"]
    low, high = document["machines"]["experiments"]["gthread 1 x 4"]["mean"]
    assert 0.9 * mean < low < high < 1.1 * mean
    console = Console(record=True, width=120)
    print_machines(console, document)
    text = console.export_text()
    assert "wake_late 0 to 0.55" in text
    assert "drawn machines" in text
    assert page.rows(document)[-1].startswith("| eight in ten of 4 drawn machines |")


def test_the_page_has_every_range_of_today() -> None:
    document = page.read()
    races = list(RANGES.races[0].seen[0])
    assert {row["name"] for row in document["ranges"]} == {
        *RANGES.factors,
        *RANGES.costs,
        *races,
    }
    # Which worker accepts decides: no other cost is near.
    assert set(page.deciding()) >= {"wake_late", "wake_warm"}
    assert page.most_of_others() < 0.1 < page.most()
    assert page.table().count("\n") > page.quiet() / 10


def test_a_page_with_ranges_of_yesterday_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "machines.json"
    with pytest.raises(ExperimentError, match="cannot be read"):
        page.read(path)
    path.write_text(json.dumps({**page.read(), "ranges": page.read()["ranges"][1:]}))
    with pytest.raises(ExperimentError, match=r"has other ranges than sim/experiment"):
        page.read(path)


def test_costs_are_listed_as_a_sentence_has_them() -> None:
    assert page.names(["a"]) == "`a`"
    assert page.names(["a", "b", "c"]) == "`a`, `b` and `c`"
    assert page.processors() == "40 times AMD EPYC and 12 times Intel Xeon"
