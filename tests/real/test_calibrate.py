"""Learning a machine: what is measured is what is there, and the file says it."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from host_costs import HostCosts

from reference_app import cli
from reference_app.calibration import calibrate, shares
from reference_app.calibration.handover import COMPUTES, handover
from reference_app.calibration.requests import application_costs
from reference_app.rig.processor import processor
from reference_app.rig.server import Application
from sim.experiment.costs import Costs
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.release import NEWEST
from sim.reading import costs_file

OWN_APPLICATION = """
import time

def app(environ, start_response):
    end = time.thread_time() + 0.003
    while time.thread_time() < end:
        pass
    time.sleep(0.02)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


CACHING = {"cached": 0.5, "cached_elsewhere": 0.8, "eviction": 0.006}


def test_handing_the_gil_over_takes_time() -> None:
    assert 0 < handover() < 10 * COMPUTES


def test_the_demand_of_an_application_is_told_from_gunicorns_costs(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_APPLICATION, encoding="utf-8")
    application = Application("own:app", directory=tmp_path)
    costs, demand = application_costs(application, "/", CACHING)
    assert demand.cpu == pytest.approx(0.003, rel=0.1)
    assert 0.02 <= demand.io <= 0.022
    # No Flask in between, and none of what the application did.
    assert 0 < costs["request"] < 0.003
    assert 0 < costs["respond"] < 0.003
    assert costs.keys() <= {cost.name for cost in fields(Costs)}


#: Costs that no calibration of the newest release learns: it neither dispatches nor follows, and
#: no proxy runs.
NOT_MEASURED = {
    "exit",
    "pull",
    "dispatch",
    "follow",
    "proxy_request",
    "proxy_response",
    "proxy_late",
    "to_thread",
    "first_to_thread",
}


def test_the_command_writes_a_file_that_predicts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    host_costs: HostCosts,
) -> None:
    monkeypatch.setattr(calibrate, "ROUNDS", 1)
    monkeypatch.setattr(calibrate, "LOADS", (replace(shares.LOADS[0], requests=40),))
    # The same functions have measured them for the other tests of this session, in 16 s.
    life, of_requests = host_costs.parts
    monkeypatch.setattr(calibrate, "life_costs", lambda *_, **__: life)
    monkeypatch.setattr(calibrate, "request_costs", lambda *_: of_requests)
    # What measures it takes 15 s; tests/real/test_memory.py holds it to real servers.
    memory = replace(MemoryCosts(), worker=12_345_678.0)
    monkeypatch.setattr(calibrate, "memory_costs", lambda *_: memory)
    path = tmp_path / "costs.toml"
    cli.main(["calibrate", "--out", str(path)])
    out, err = capsys.readouterr()
    assert f"written: {path}" in out
    assert "which worker accepts: 2 workers x 8 threads at 50/s" in err
    found = costs_file.read(path)
    costs = found.costs
    assert found.memory == memory
    assert found.gunicorn == NEWEST
    assert found.worker_class == "gthread"
    assert found.machine is not None
    assert found.machine.startswith(processor())
    assert "12.35 MB" in out
    measured = life_and_request_names() - NOT_MEASURED
    paragraphs = path.read_text(encoding="utf-8").split("\n\n")
    for name in measured:
        (paragraph,) = (text for text in paragraphs if f"\n{name} = " in text)
        assert "Measured" in paragraph, name
    # These are chosen from grids, on which the defaults may be too.
    measured -= {"warm", "cooling", "cached", "cached_elsewhere", "eviction"}
    assert not [name for name in measured if getattr(costs, name) == getattr(Costs(), name)]
    # An import takes longer than a fork, and a request's steps are below 20 ms on any machine.
    assert costs.import_app > costs.fork
    assert all(0 < getattr(costs, name) < 0.02 for name in ("connect", "accept", "request"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["costs.toml"]


def life_and_request_names() -> set[str]:
    return {cost.name for cost in fields(Costs) if not cost.name.startswith("wake_")}


def test_the_file_names_the_machine() -> None:
    assert processor()
