"""Learning a machine: what is measured is what is there, and the file says it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from random import Random

import pytest
from host_costs import HostCosts

from reference_app import cli
from reference_app.calibration import caches, calibrate, shares
from reference_app.calibration.handover import COMPUTES, handover
from reference_app.calibration.memory import occupy
from reference_app.calibration.requests import Steps, application_costs, gunicorns_costs
from reference_app.rig.memory import experiment_of
from reference_app.rig.processor import processor
from reference_app.rig.server import Application, running_server
from sim.experiment.accept_load import Load
from sim.experiment.costs import Costs
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.release import NEWEST, release
from sim.model.caches.cached_pace import CachedPace
from sim.model.caches.computing import Computing
from sim.model.caches.host_steps import HostSteps
from sim.model.simulation import predict
from sim.reading import costs_file
from sim.reading.costs_file import CostsFile
from sim.study import race_fit

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

OTHER = {"wake_affine": 0.94, "wake_late": 0.3, "wake_warm": 0.9}

#: Where the client draws nobody to its core, nothing depends on how late the others are.
APART = {"wake_affine": 0.02, "wake_late": Costs().wake_late, "wake_warm": 0.9}


CACHING = {"cached": 0.5, "cached_elsewhere": 0.8, "eviction": 0.006}


def test_the_cpu_of_requests_tells_what_the_caches_save() -> None:
    random, costs = Random(3), replace(Costs(), **CACHING)
    steps = HostSteps(Computing(2))
    paces = [CachedPace(costs, steps) for _ in range(2)]
    seen: list[list[tuple[float, float]]] = [[], []]
    for row in caches.traffic().trace:
        worker = random.randrange(2)
        cpu = 0.001 * paces[worker].step(row.arrival_s) * random.uniform(0.9, 1.1)
        seen[worker].append((row.arrival_s, cpu))
    assert caches.fit(seen) == pytest.approx(CACHING, rel=0.2)


@pytest.mark.parametrize("costs", [OTHER, APART], ids=["drawn", "apart"])
def test_shares_tell_the_costs_that_they_came_from(costs: dict[str, float]) -> None:
    there = replace(Costs(), **costs)
    seen = {load: race_fit.predicted_shares(load, 2, there) for load in shares.LOADS}
    assert race_fit.fit(seen, 2, Costs()) == pytest.approx(costs, abs=0.02)


def test_predicted_shares_are_by_boot_order() -> None:
    # Who is woken first, the last to boot, has nothing to preempt the client with.
    costs = replace(Costs(), wake_first=0.0, wake_late=0.0)
    first, second = race_fit.predicted_shares(shares.LOADS[0], 2, costs)
    assert first > 0.8
    assert first + second == pytest.approx(1.0)


@pytest.mark.parametrize("load", shares.LOADS, ids=str)
def test_predicted_shares_are_those_of_the_model(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On ten times the connections: what chance leaves of 6,000 is half of what is allowed."""
    monkeypatch.setattr(race_fit, "CONNECTIONS", 60_000)
    asked = replace(shares.experiment_of(load), replications=1)
    runs = [predict(replace(asked, seed=seed)) for seed in range(60)]
    accepted = Counter(worker for run in runs for worker in run.requests.worker)
    modelled = [accepted[order] / accepted.total() for order in range(1, load.workers + 1)]
    assert race_fit.predicted_shares(load, 2, Costs()) == pytest.approx(modelled, abs=0.02)


def test_handing_the_gil_over_takes_time() -> None:
    assert 0 < handover() < 10 * COMPUTES


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    costs = replace(Costs(), accept=0.000123456, **OTHER)
    host = CostsFile(costs, replace(MemoryCosts(), thread=54_321.0))
    path = tmp_path / "costs.toml"
    path.write_text(costs_file.text(host, ["One.", "Two."], {"fork": "Three."}), encoding="utf-8")
    assert costs_file.read(path) == host
    text = path.read_text(encoding="utf-8")
    assert "\nthread = 54_321\n" in text
    assert text.startswith("# One.\n# Two.\n")
    assert "`fork(2)`. Three.\n" in text


def test_every_cost_is_explained_in_the_file() -> None:
    lines = costs_file.text(CostsFile(Costs(), MemoryCosts()), [], {}).split("\n")
    for cost in (*fields(Costs), *fields(MemoryCosts)):
        (place,) = (n for n, line in enumerate(lines) if line.startswith(f"{cost.name} ="))
        assert lines[place - 1].startswith("# "), cost.name


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


def test_what_the_model_charges_an_application_is_what_was_measured() -> None:
    """Requests 8 ms apart find something in the caches; the costs are those of cold ones."""
    gap = 0.008
    moments = [gap * number for number in range(45)]
    offsets = (0.0, 0.0002, 0.0003, 0.001, 0.005, 0.0055)
    accept, accepted, handle, app, answered, handled = (
        [(moment + offset, number * 0.0004) for number, moment in enumerate(moments)]
        for offset in offsets
    )
    # The first of a worker takes longer, which is told apart.
    app[0] = (app[0][0] + 0.002, app[0][1])
    costs = gunicorns_costs(
        Steps(accept, accepted, handle, handled, app, answered, finish=(), finished=()),
        CACHING,
    )
    first = costs.pop("first_request")
    assert first + costs["request"] == pytest.approx(0.0027)
    pace = CachedPace(replace(Costs(), **CACHING), HostSteps(Computing(2)))
    pace.step(0.0)
    charged = {name: cost * pace.at(gap) for name, cost in costs.items()}
    measured = {"accept": 300, "request": 700, "respond": 900, "finish": 400, "sync_finish": 400}
    assert charged == pytest.approx({name: us / 1e6 for name, us in measured.items()})


def test_a_pool_thread_that_finishes_its_request_is_charged_for_it() -> None:
    """23.0.0: the main thread accepts, polls and dispatches; the pool thread does all else."""
    gap = 0.008
    moments = [gap * number for number in range(45)]

    def notes(offset: float, cpu: float) -> list[tuple[float, float]]:
        """A clock at that time of each request, by when its thread has computed so long."""
        return [(moment + offset, 0.001 * n + cpu) for n, moment in enumerate(moments)]

    steps = Steps(
        accept=notes(0.0, 0.0),
        accepted=notes(0.0001, 0.0001),
        dispatch=notes(0.0003, 0.0002),
        handle=notes(0.00045, 0.0),
        app=notes(0.00075, 0.0003),
        answered=notes(0.006, 0.0005),
        handled=notes(0.0064, 0.0009),
        finish=notes(0.00641, 0.00091),
        finished=notes(0.00644, 0.00094),
    )
    nothing_cached = {"cached": 1.0, "cached_elsewhere": 1.0, "eviction": 0.006}
    costs = gunicorns_costs(steps, nothing_cached, release("23.0.0"))
    del costs["first_request"]
    # Between requests the pool thread computes 0.1 ms, of which finishing takes 0.03.
    microseconds = {"accept": 200, "dispatch": 150, "request": 300, "respond": 470, "finish": 30}
    assert costs == pytest.approx({name: us / 1e6 for name, us in microseconds.items()})


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
    assert "who accepts: 2 workers x 8 threads at 50/s" in err
    found = costs_file.read(path)
    costs = found.costs
    assert found.memory == memory
    assert found.gunicorn == NEWEST
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


def test_every_thread_runs_also_where_the_application_answers_at_once(tmp_path: Path) -> None:
    answer = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
    (tmp_path / "quick.py").write_text(answer, encoding="utf-8")
    experiment = experiment_of(2, 16, preload=True, launchdarkly=False)
    with running_server(experiment, Application("quick:app", directory=tmp_path)) as server:
        occupy(server.port, "/", experiment)
        threads = [worker.num_threads() for worker in server.living_workers().values()]
    assert threads == [17, 17]


def life_and_request_names() -> set[str]:
    return {cost.name for cost in fields(Costs) if not cost.name.startswith("wake_")}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--app", "nonsense"], "--app is 'nonsense'; expected MODULE:APP"),
        (["--app", "no_such_module:app"], "before its 2 workers were ready"),
        (["--path", "no-slash"], "--path is 'no-slash'"),
        (["--out", "."], "is a directory"),
    ],
)
def test_what_cannot_be_used_is_refused(flags: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reference_app", "calibrate", *flags],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_file_names_the_machine() -> None:
    assert processor()


def test_the_defaults_are_such_a_file() -> None:
    path = Path(__file__).parents[2] / "sim" / "experiment" / "default_costs.toml"
    assert costs_file.read(path) == CostsFile(Costs(), MemoryCosts())
    text = path.read_text(encoding="utf-8")
    assert all(f"\n{cost.name} = " in text for cost in (*fields(Costs), *fields(MemoryCosts)))
    assert "Measured 20" in text
