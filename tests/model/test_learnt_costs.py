"""What is computed from measurements of a machine: costs of a request and of the accept race."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from random import Random

import pytest

import reference_app.cli
from reference_app.calibration import caches, life, shares
from reference_app.calibration.calibrate import Calibration
from reference_app.calibration.requests import Steps, gunicorns_costs
from sim.experiment.accept_load import Load
from sim.experiment.costs import Costs
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.release import release
from sim.model.caches.cached_pace import CachedPace
from sim.model.caches.computing import Computing
from sim.model.caches.host_steps import HostSteps
from sim.model.fitted.caches import HOT
from sim.model.fitted.life import SLOWEST_END
from sim.model.simulation import predict
from sim.reading import costs_file
from sim.reading.costs_file import CostsFile
from sim.study import executors, race_fit

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


@pytest.mark.parametrize(
    ("cores", "costs"),
    [(4, OTHER), (8, APART)],
    ids=["4 cores, drawn", "8 cores, apart"],
)
def test_shares_of_more_cores_tell_costs_that_predict_them(
    cores: int, costs: dict[str, float]
) -> None:
    """With more cores than workers, several costs predict nearly the same shares."""
    there = replace(Costs(), **costs)
    seen = {load: race_fit.predicted_shares(load, cores, there) for load in shares.LOADS}
    # The costs that the search begins with do not.
    assert farthest(seen, cores, Costs()) > 0.2
    found = replace(Costs(), **race_fit.fit(seen, cores, Costs()))
    assert farthest(seen, cores, found) < 0.02


def farthest(seen: Mapping[Load, Sequence[float]], cores: int, costs: Costs) -> float:
    """How far a predicted share is from the one that was seen, at most."""
    return max(
        abs(predicted - share)
        for load, of_workers in seen.items()
        for predicted, share in zip(
            race_fit.predicted_shares(load, cores, costs), of_workers, strict=True
        )
    )


def test_calibrate_fits_to_the_cores_that_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a machine of 64 cores, of which ``taskset`` leaves it eight."""
    cores = 8
    there = replace(Costs(), **OTHER)
    load = shares.LOADS[1]
    seen = {load: race_fit.predicted_shares(load, cores, there)}
    measured = Calibration({}, {}, MemoryCosts(), seen)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(10, 10 + cores)))
    monkeypatch.setattr("reference_app.commands.calibrate.calibrate", lambda *_: measured)
    path = tmp_path / "costs.toml"
    reference_app.cli.main(["calibrate", "--out", str(path)])
    assert capsys.readouterr().out
    assert f", {cores} cores, " in path.read_text(encoding="utf-8")
    assert farthest(seen, cores, costs_file.read(path).costs) < 0.02
    assert reference_app.cli._this_machine().cores == executors.cores() == cores


def test_predicted_shares_are_by_boot_order() -> None:
    # The worker that is woken first, the last to boot, has nothing to preempt the client with.
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


def test_the_defaults_are_such_a_file() -> None:
    path = Path(__file__).parents[2] / "sim" / "experiment" / "default_costs.toml"
    assert costs_file.read(path) == CostsFile(Costs(), MemoryCosts())
    text = path.read_text(encoding="utf-8")
    assert all(f"\n{cost.name} = " in text for cost in (*fields(Costs), *fields(MemoryCosts)))
    assert "Measured 20" in text


def test_what_is_learnt_has_the_shapes_of_the_model() -> None:
    assert caches.HOT == HOT
    assert pytest.approx((1 + SLOWEST_END) / 2) == life.MEAN_END
